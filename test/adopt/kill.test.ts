// Holdfast is killed in the middle of an adoption and of a release, beside a real dockerd: nothing
// is lost, and the next start heals.
import { afterAll, beforeAll, expect } from "bun:test";
import { existsSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { eventually, startChild, stopChild } from "../support/child.ts";
import { HoldsBench } from "../support/holds-bench.ts";
import { needs, type Requirement, whenPossible } from "../support/needs.ts";

const requirements: readonly Requirement[] = [
  ...(["root", "dockerd", "docker-cli", "mount", "busybox", "strace"] as const),
];
const startMs = 120_000;
const testMs = 60_000;

/**
 * The system call at which the daemon dies, before it is done: the rename of the data, the first
 * sync after it, a commit (of the row that ends an adoption: dockerd has forgotten by then).
 */
const deaths = [
  ["adopt", "rename", 1],
  ["adopt", "fsync", 1],
  ["adopt", "fdatasync", 2],
  ["release", "fdatasync", 2],
  ["release", "rename", 1],
  ["release", "fsync", 1],
  ["release", "fdatasync", 3],
] as const;

let bench: HoldsBench;
beforeAll(async () => {
  if (needs(...requirements).skip !== undefined) return;
  bench = new HoldsBench();
  await bench.start();
}, startMs);
afterAll(async () => await bench?.[Symbol.asyncDispose](), startMs);

function own(...words: readonly string[]) {
  return bench.holdfast(...words, "--engine", `unix://${bench.dockerd.socketPath}`);
}

/** Has the daemon killed at its Nth such call; resolves when that is arranged. */
async function armed(call: string, when: number): Promise<AsyncDisposable> {
  const inject = `inject=${call}:signal=SIGKILL:when=${when}`;
  const pid = String(bench.daemon.pid);
  const strace = startChild("strace", ["-f", "-p", pid, "-e", `trace=${call}`, "-e", inject]);
  let said = "";
  strace.stderr?.on("data", (chunk: Buffer) => {
    said += chunk.toString("utf8");
  });
  await eventually(() => (said.includes("attached") ? true : undefined), {
    timeoutMs: 10_000,
    otherwise: () => `strace did not attach: ${said}`,
  });
  return { [Symbol.asyncDispose]: () => stopChild(strace) };
}

for (const [verb, call, when] of deaths) {
  whenPossible(
    requirements,
    `${verb} dies at ${call} number ${when}, and heals`,
    async () => {
      const name = `${verb}-${call}-${when}`;
      const theirs = join(bench.dockerd.dataRoot, "volumes", name, "_data");
      const ours = join(bench.root, "volumes", name, "_data");
      await bench.docker("volume", "create", "--label=app=wiki", name);
      writeFileSync(join(theirs, "file"), "kept");
      const { ino } = statSync(join(theirs, "file"));
      if (verb === "release") expect((await own("adopt", name)).exit).toBe(0);
      {
        await using _strace = await armed(call, when);
        expect((await own(verb, name)).exit).toBe(1);
      }
      await bench.daemon.kill();
      const inode = (place: string): number | undefined =>
        existsSync(join(place, "file")) ? statSync(join(place, "file")).ino : undefined;
      expect([inode(theirs), inode(ours)].filter((each) => each !== undefined)).toEqual([ino]);
      await bench.startDaemon();
      // Whoever has the data is the one that lists the volume, after a moment.
      await eventually(
        async () => {
          const { stdout } = await bench.holdfast("info", "-f", "{{json .Warnings}}");
          return stdout === "null\n" ? true : undefined;
        },
        { timeoutMs: 20_000, otherwise: () => bench.daemon.output() },
      );
      const driver = await bench.docker("volume", "inspect", "-f", "{{.Driver}}", name);
      expect(inode(driver === "local" ? theirs : ours)).toBe(ino);
      expect((await bench.holdfast("volume", "inspect", name)).exit).toBe(
        driver === "local" ? 1 : 0,
      );
      // The command can be given again; and the way there and back is open.
      expect(await own("adopt", name)).toMatchObject({ exit: 0, stderr: "" });
      expect(inode(ours)).toBe(ino);
      expect(await own("release", name)).toMatchObject({ exit: 0, stderr: "" });
      expect(inode(theirs)).toBe(ino);
      const label = await bench.docker("volume", "inspect", "-f", "{{.Labels.app}}", name);
      expect(label).toBe("wiki");
      await bench.docker("volume", "rm", name);
    },
    testMs,
  );
}
