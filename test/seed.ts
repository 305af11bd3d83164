// Which random programs the property tests run: the same on every machine unless FC_SEED says otherwise (a number, or
// "random"), so that continuous integration fails only for what a change did. Not here: the properties.
import fc from "fast-check";

const wanted = process.env.FC_SEED ?? "20210603";
if (wanted !== "random") {
  const seed = Number(wanted);
  if (!Number.isInteger(seed)) throw new TypeError(`FC_SEED is a whole number or "random", not "${wanted}"`);
  fc.configureGlobal({ ...fc.readConfigureGlobal(), seed });
}
