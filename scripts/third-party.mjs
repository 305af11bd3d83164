// The licence texts of what the build takes into dist/ from other packages: which packages those are, and their texts as one file.
// Which modules a bundle contains is the bundler's to say (build.mjs).
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const LICENCE_FILE = /^(licen[cs]e|copying|notice)([.-].*)?$/i;

/** Standard texts for packages that name a licence in package.json and hold no file: `{author}` is package.json's. */
const STANDARD_TEXTS = {
  MIT: `MIT License

Copyright (c) {author}

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation
files (the "Software"), to deal in the Software without restriction, including without limitation the rights to use, copy,
modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the Software
is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE,
ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.`,
};

/**
 * The folder of the package that a module belongs to; null for the project's own. Modules that the bundler writes itself
 * (`\0rolldown/runtime.js`) are the bundler's.
 */
function packageOf(moduleId) {
  if (moduleId.startsWith("\0rolldown/")) {
    return packageOf(fileURLToPath(import.meta.resolve("rolldown")));
  }
  const file = moduleId.replace(/^\0/, "").replace(/\?.*$/, "");
  if (!/[\\/]node_modules[\\/]/.test(file)) return null;
  // A package may have folders with a package.json of their own, which have no name and version.
  for (let folder = dirname(file); folder !== dirname(folder); folder = dirname(folder)) {
    const manifest = readManifest(folder);
    if (manifest?.name !== undefined && manifest.version !== undefined) return folder;
  }
  throw new Error(`licences: no package has the bundled module ${moduleId}`);
}

function readManifest(folder) {
  const file = join(folder, "package.json");
  return existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : undefined;
}

function textOf(folder, { name, license, author }) {
  const files = readdirSync(folder)
    .filter((file) => LICENCE_FILE.test(file))
    .sort();
  if (files.length > 0) return files.map((file) => readFileSync(join(folder, file), "utf8").trim()).join("\n\n");
  const holder = typeof author === "string" ? author : author?.name;
  const standard = STANDARD_TEXTS[license];
  if (standard === undefined || holder === undefined) {
    throw new Error(`licences: ${name} is bundled and has no licence text (its package.json says ${license})`);
  }
  return standard.replace("{author}", holder);
}

/**
 * The texts of all packages that the modules come from, by name.
 * @throws Error for a package without a licence text: such a bundle may not be published.
 */
export function thirdPartyLicences(moduleIds) {
  const folders = new Set(moduleIds.map(packageOf).filter((folder) => folder !== null));
  const sections = [...folders]
    .map((folder) => ({ folder, manifest: readManifest(folder) }))
    .sort((a, b) => (a.manifest.name < b.manifest.name ? -1 : 1))
    .map(({ folder, manifest }) => {
      const { name, version, license } = manifest;
      return `${name} ${version} (${license})\n${"-".repeat(72)}\n${textOf(folder, manifest)}\n`;
    });
  const opening = "Parts of these packages are contained in dist/. refheap's own licence is in LICENSE.\n";
  return [opening, ...sections].join(`\n${"=".repeat(72)}\n`);
}
