// Files beside a module that tell of its source: where its sections `external_debug_info` and `sourceMappingURL` say that they lie.
// Only files in the module's folder or below are read: a module is not asked what else to open.
import { readFileSync } from "node:fs";
import { dirname, isAbsolute, join, normalize } from "node:path";
import { DebugInfo } from "../../../allocator/wasm/debug/debug-info.ts";
import { scanCustomSections } from "../../../allocator/wasm/debug/sections/custom-sections.ts";
import type { ModuleOptions } from "../../../allocator/wasm/index.ts";

/** What is there of them. A file that cannot be read is as if it were not named. */
export function debugFilesOf(file: string, bytes: Uint8Array): NonNullable<ModuleOptions["debug"]> {
  const { customSections, codeSectionOffset } = scanCustomSections(bytes);
  const info = DebugInfo.of(customSections, codeSectionOffset);
  const dwarf = readBeside(file, info.externalDwarfUrl);
  const sourceMap = readBeside(file, info.sourceMapUrl)?.toString("utf8");
  return { ...(dwarf === null ? {} : { dwarf }), ...(sourceMap === undefined ? {} : { sourceMap }) };
}

function readBeside(file: string, url: string | null): Buffer | null {
  if (url === null || /^[a-z][a-z\d+.-]*:/i.test(url)) return null;
  const path = normalize(decoded(url));
  if (isAbsolute(path) || path.startsWith("..")) return null;
  try {
    return readFileSync(join(dirname(file), path));
  } catch {
    return null;
  }
}

function decoded(url: string): string {
  try {
    return decodeURIComponent(url);
  } catch {
    return url;
  }
}
