// Bundles the `refheap` command (bench/cli/main.ts and every *.worker.ts beside it) with the libraries that it uses into
// dist/cli, so that the published package has no runtime dependency. The library itself is emitted file by file by tsc.
import { readdirSync } from "node:fs";
import { chmod } from "node:fs/promises";
import { join } from "node:path";
import { build } from "esbuild";

const folder = "bench/cli";
const entryPoints = readdirSync(folder, { recursive: true })
  .map((name) => join(folder, name))
  .filter((name) => name === join(folder, "main.ts") || name.endsWith(".worker.ts"));

await build({
  entryPoints,
  outbase: folder,
  outdir: "dist/cli",
  bundle: true,
  splitting: true,
  platform: "node",
  format: "esm",
  target: "node20.19",
  // CommonJS libraries inside an ES module ask for Node's own modules by require().
  banner: {
    js: 'import { createRequire as __createRequire } from "node:module"; const require = __createRequire(import.meta.url);',
  },
  logLevel: "warning",
});
await chmod("dist/cli/main.js", 0o755);
