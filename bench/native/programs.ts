// The programs that the native recorder is held against, the files that they read, and what each does when it has nothing to do.
// Running and measuring them is native.ts.
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { SeededRandom } from "../lab/replay/random.ts";

export interface Program {
  readonly command: readonly [string, ...string[]];
  /** The same program with nothing to do: what it needs for itself. */
  readonly idle: readonly [string, ...string[]];
  /** What its command line is called in a table. */
  readonly shown: string;
}

const LINES = 300_000;
const OBJECTS = 40_000;
const NUMBERS_AN_OBJECT = 10;

/** Files by name, in a folder. */
export function writeInputs(folder: string): void {
  const random = new SeededRandom(1);
  const lines = Array.from({ length: LINES }, (_, index) => String(index + 1));
  for (let at = lines.length - 1; at > 0; at--) {
    const other = Math.min(at, Math.floor(random.fraction() * (at + 1)));
    [lines[at], lines[other]] = [lines[other], lines[at]];
  }
  writeFileSync(join(folder, "big.txt"), `${lines.join("\n")}\n`);
  const objects = Array.from({ length: OBJECTS }, () => ({
    v: Array.from({ length: NUMBERS_AN_OBJECT }, () => Math.floor(random.fraction() * 1e6)),
  }));
  writeFileSync(join(folder, "j.json"), JSON.stringify(objects));
  writeFileSync(join(folder, "empty.txt"), "");
}

const WORDS = "my %h; while(<>){chomp;$h{$_}++} print scalar(keys %h)";
const LAST = "{s+=$1; a[$1]=$0} END{print s, length(a)}";
const ROWS =
  "create table t(a,b); insert into t with recursive c(n) as (select 1 union all select n+1 from c where n<200000) select n,n*7 from c; select sum(b) from t;";
const OBJECTS_OF_PYTHON = "d={i: str(i) for i in range(100000)}; print(len(d))";

/** Those that are installed here. */
export function installedPrograms(): Program[] {
  const programs: Program[] = [
    { command: ["sort", "big.txt"], idle: ["sort", "empty.txt"], shown: "sort big.txt" },
    { command: ["jq", "[.[].v|add]|add", "j.json"], idle: ["jq", "-n", "1"], shown: "jq '[.[].v|add]|add' j.json" },
    { command: ["perl", "-e", WORDS, "big.txt"], idle: ["perl", "-e", "1"], shown: `perl -e '${WORDS}' big.txt` },
    { command: ["awk", LAST, "big.txt"], idle: ["awk", "BEGIN{}"], shown: `awk '${LAST}' big.txt` },
    {
      command: ["xz", "-k", "-c", "-6", "-T1", "big.txt"],
      idle: ["xz", "--version"],
      shown: "xz -k -c -6 -T1 big.txt",
    },
    {
      command: ["sqlite3", ":memory:", ROWS],
      idle: ["sqlite3", ":memory:", "select 1"],
      shown: "sqlite3 :memory: 'insert … 200000 rows'",
    },
    {
      command: ["env", "PYTHONMALLOC=malloc", "python3", "-c", OBJECTS_OF_PYTHON],
      idle: ["env", "PYTHONMALLOC=malloc", "python3", "-c", "pass"],
      shown: `PYTHONMALLOC=malloc python3 -c '${OBJECTS_OF_PYTHON}'`,
    },
  ];
  return programs.filter(
    ({ idle: [command, ...given] }) => spawnSync(command, given, { stdio: "ignore" }).error === undefined,
  );
}
