// Makes the JavaScript in dist/: the library and the benchmarks file by file, and the `refheap` command as a bundle with
// the libraries that it uses, so that the package has no runtime dependency; their licences go along. Declarations are tsc's (tsconfig.build.json).
//
// Why not tsc alone: V8 reads an imported constant from memory at each use, which doubles the cost of a simulated load.
// rolldown writes the constants' values in their places (optimization.inlineConst) and changes nothing else.
import { chmodSync, copyFileSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { rolldown } from "rolldown";
import { thirdPartyLicences } from "./third-party.mjs";

const floors = ["platform", "refpage", "allocator", "bench", "fuzz"];
const command = "bench/lab/cli";

function typeScriptFiles(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true })
    .filter((name) => name.endsWith(".ts"))
    .map((name) => join(folder, name));
}

/** Entry names without the folder in front and the suffix behind: where in the output folder each file goes. */
function entries(files, folder) {
  return Object.fromEntries(files.map((file) => [file.slice(folder === "" ? 0 : folder.length + 1, -3), file]));
}

/** A file or export that is not there is tsc's to report; here it must not stop the programs that don't need it. */
function isMissing(name, importer) {
  return importer !== undefined && name.startsWith(".") && !existsSync(resolve(dirname(importer), name));
}

const shared = {
  platform: "node",
  // No file has side effects but the programs: an import whose constants were all written in can go.
  treeshake: { moduleSideEffects: false },
  shimMissingExports: true,
  optimization: { inlineConst: { mode: "all", pass: 3 } },
  logLevel: "silent",
};

const library = await rolldown({
  ...shared,
  input: entries(floors.flatMap(typeScriptFiles), ""),
  external: (name, importer) => !/^[./]/.test(name) || isMissing(name, importer),
});
const bundled = [];
const modulesOf = (output) => output.flatMap(({ moduleIds = [] }) => moduleIds);
const written = await library.write({
  dir: "dist",
  format: "esm",
  preserveModules: true,
  preserveModulesRoot: ".",
  entryFileNames: "[name].js",
});
bundled.push(...modulesOf(written.output));

// The command, the worker threads that it starts (bench/lab/cli/*.worker.ts), and what it loads into others (*.preload.ts).
const programs = typeScriptFiles(command).filter(
  (file) => file === `${command}/main.ts` || /\.(worker|preload)\.ts$/.test(file),
);
if (programs.includes(`${command}/main.ts`)) {
  // The library's entries, for modules that a user loads into the command (bench/lab/replay/own-modules.ts).
  const library = { refheap: "allocator/index.ts", "refheap-kernel": "refpage/index.ts" };
  const bundle = await rolldown({ ...shared, input: { ...entries(programs, command), ...library } });
  const { output } = await bundle.write({
    dir: "dist/cli",
    format: "esm",
    entryFileNames: "[name].js",
    chunkFileNames: "[name]-[hash].js",
  });
  bundled.push(...modulesOf(output));
  // Chunks of earlier builds have other hashes in their names; nothing refers to them any more.
  const current = new Set(output.map(({ fileName }) => fileName));
  for (const name of readdirSync("dist/cli"))
    if (!current.has(name)) rmSync(join("dist/cli", name), { recursive: true });
  // The native recorder, which is compiled where it is used.
  for (const folder of ["dist/cli/native", "dist/bench/lab/native"]) {
    mkdirSync(folder, { recursive: true });
    for (const name of readdirSync("bench/lab/native").filter((file) => /\.[ch]$/.test(file))) {
      copyFileSync(join("bench/lab/native", name), join(folder, name));
    }
  }
  chmodSync("dist/cli/main.js", 0o755);
}

writeFileSync("dist/THIRD-PARTY-LICENSES.txt", thirdPartyLicences(bundled));

// The tests look at this file's time to know whether dist/ is older than the sources.
writeFileSync("dist/.built", "");
