// The huge-page settings of this machine's kernel, as a script's `env` wants them while it runs; what was there before comes back when
// the program ends. Only root may write them.
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { settingsOf } from "../linux/huge-settings.ts";
import type { Script } from "../script.ts";

const FOLDER = "/sys/kernel/mm/transparent_hugepage";
/** So long khugepaged sleeps between its rounds: nothing becomes huge behind a script's back. */
const LONG_SLEEP_MS = "3600000";

export class HostSettings {
  /** What each file said before, and what was written to it last. */
  private readonly before = new Map<string, string>();
  private readonly now = new Map<string, string>();

  /** Why settings cannot be made here; undefined if they can. */
  reasonAgainst(): string | undefined {
    if (!existsSync(FOLDER)) return "this kernel has no transparent huge pages";
    if (process.getuid?.() !== 0) return "only root may change the settings of huge pages";
    try {
      const file = join(FOLDER, "enabled");
      writeFileSync(file, selected(readFileSync(file, "utf8")));
    } catch (error) {
      return `the settings of huge pages cannot be written: ${(error as Error).message}`;
    }
    return undefined;
  }

  /** Sets what the script's `env` names. @throws ScriptError for settings that there are not */
  apply(script: Script): void {
    const { enabled = "madvise", useZeroPage, sizes = [], shmem = "never" } = settingsOf(script);
    this.write("enabled", enabled);
    this.write("use_zero_page", useZeroPage === true ? "1" : "0");
    this.write("shmem_enabled", shmem);
    for (const folder of readdirSync(FOLDER).filter((name) => name.startsWith("hugepages-"))) {
      // A size that only shared memory has is no size of anonymous pages.
      if (!existsSync(join(FOLDER, folder, "enabled"))) continue;
      const kib = Number(/\d+/.exec(folder)?.[0]);
      this.write(join(folder, "enabled"), sizes.includes(kib) ? "inherit" : "never");
    }
    this.write("khugepaged/scan_sleep_millisecs", LONG_SLEEP_MS);
  }

  private write(name: string, value: string): void {
    const file = join(FOLDER, name);
    if (this.now.get(name) === value) return;
    if (!this.before.has(name)) {
      if (this.before.size === 0) this.restoreAtTheEnd();
      this.before.set(name, selected(readFileSync(file, "utf8")));
    }
    writeFileSync(file, value);
    this.now.set(name, value);
  }

  private restoreAtTheEnd(): void {
    process.on("exit", () => {
      for (const [name, value] of this.before) writeFileSync(join(FOLDER, name), value);
    });
    // A signal ends a program without its `exit` listeners, unless something listens for it.
    for (const [signal, status] of [
      ["SIGINT", 130],
      ["SIGTERM", 143],
    ] as const)
      process.on(signal, () => process.exit(status));
  }
}

/** Of `always [madvise] never` the word in brackets; all else is itself. */
function selected(text: string): string {
  return /\[(\S+)\]/.exec(text)?.[1] ?? text.trim();
}
