// The command as a process among others: help, completion, pipes, signals, and nothing on standard error but messages.
import { spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { POLICIES } from "../../../../bench/lab/replay/policy.ts";
import { MAIN, SMALL, Workplace } from "./refheap.ts";

const COMMANDS = ["replay", "compare", "report", "inspect", "convert", "record", "calibrate", "merge"];
let place: Workplace;
beforeAll(() => {
  place = new Workplace();
});
afterAll(() => place.remove());

test("help names every subcommand, and each has help of its own", () => {
  const { status, stdout } = place.refheap(["--help"]);
  expect(status).toBe(0);
  for (const command of COMMANDS) {
    expect(stdout).toContain(`\n  ${command} `);
    const own = place.refheap([command, "--help"]);
    expect(own).toMatchObject({ status: 0, stderr: "" });
    expect(own.stdout).toMatch(new RegExp(`^Usage: refheap ${command} `));
  }
});

test("without a subcommand the help is an error message", () => {
  expect(place.refheap([])).toMatchObject({ status: 2, stdout: "" });
});

test("the version is the package's", () => {
  expect(place.refheap(["--version"]).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
});

describe("completion", () => {
  test("knows the policies", () => {
    const { stdout } = place.refheap(["complete", "--", "replay", "--policy", ""]);
    const offered = stdout.split("\n").map((line) => line.trim());
    expect(offered).toEqual(expect.arrayContaining(Object.keys(POLICIES)));
  });

  test("offers each subcommand with its summary in one line", () => {
    const { stdout } = place.refheap(["complete", "--", ""]);
    const offered = new Map(stdout.split("\n").map((line) => line.split("\t") as [string, string]));
    for (const command of COMMANDS) expect(offered.get(command)).toMatch(/^.{10,60}$/);
    expect(offered.get("inspect")).toBe("say what a trace or a snapshot holds");
    expect(place.refheap(["inspect", "--help"]).stdout).toContain("nothing is replayed.");
  });

  test.each(["bash", "zsh", "fish", "powershell"])("has a script for %s", (shell) => {
    const { status, stdout } = place.refheap(["complete", shell]);
    expect(status).toBe(0);
    expect(stdout).toContain("refheap");
  });
});

test("a reader that closes early is no failure", () => {
  // Longer than a pipe holds, so that writing meets the closed end.
  const lines = Array.from({ length: 200_000 }, (_, id) => `0 malloc ${id} 16\n`).join("");
  place.write("long.txt", `refheap-trace 1\n${lines}`);
  const { stdout, stderr } = place.shell(
    '("$NODE" "$MAIN" convert long.txt - --to text 2>said; echo $? > code) | head -1; sleep 0.1; cat code',
  );
  expect(stdout).toBe("refheap-trace 1\n0\n");
  expect(stderr).toBe("");
});

test.each(["-", "/dev/stdin"])("%s is standard input, which can be replayed once", (name) => {
  const { status, stdout } = place.shell(`cat small.txt | "$NODE" "$MAIN" replay ${name} -p none`);
  expect(status).toBe(0);
  expect(stdout).toContain("touches of the trace");
});

test("an interrupt ends it by the signal, without a word", async () => {
  const child = spawn(process.execPath, [MAIN, "inspect", "-"], { cwd: place.folder });
  let said = "";
  child.stderr.on("data", (chunk) => {
    said += chunk;
  });
  child.stdin.write(SMALL);
  setTimeout(() => child.kill("SIGINT"), 500);
  const signal = await new Promise((resolve) => child.on("close", (_code, by) => resolve(by)));
  expect({ signal, said }).toEqual({ signal: "SIGINT", said: "" });
});

test.each(["SIGINT", "SIGTERM", "SIGHUP"] as const)(
  "%s while a file is written leaves nothing of it",
  async (wanted) => {
    const child = spawn(process.execPath, [MAIN, "convert", "-", "cut.rht"], { cwd: place.folder });
    // More than detection waits for; then the pipe stays open.
    child.stdin.write(`refheap-trace 1\n${'0 mark "m"\n'.repeat(20_000)}`);
    const files = (): string[] => readdirSync(place.folder).filter((name) => name.startsWith("cut.rht"));
    await expect.poll(files, { timeout: 5000 }).toEqual(["cut.rht.part"]);
    child.kill(wanted);
    const signal = await new Promise((resolve) => child.on("close", (_code, by) => resolve(by)));
    expect({ signal, files: files() }).toEqual({ signal: wanted, files: [] });
  },
);

test("a stream that turned out to have no touches is said to have none, with the way around it", () => {
  const bare = "refheap-trace 1\n0 malloc 0 100000\n";
  const { status, stdout, stderr } = place.refheap(["replay", "-", "-p", "none"], bare);
  expect(status).toBe(0);
  expect(stdout).toContain("touches none");
  expect(stderr).toMatch(/^standard input: the trace had no touches, so no block was touched; --touch first-page/);
  expect(place.refheap(["replay", "-", "-p", "none", "-t", "all"], bare).stderr).toBe("");
});

test("progress is shown only where standard error is a terminal", () => {
  expect(place.refheap(["replay", "small.txt"]).stderr).toBe("");
});
