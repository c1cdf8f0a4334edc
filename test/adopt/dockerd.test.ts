// Volumes of a real dockerd come under Holdfast in place and go back, and every refusal says why.
import { afterAll, beforeAll, describe, expect } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type Ended, runToEnd } from "../support/child.ts";
import { startDockerd } from "../support/dockerd.ts";
import { HoldsBench } from "../support/holds-bench.ts";
import { needs, type Requirement, whenPossible } from "../support/needs.ts";
import { testImage } from "../support/test-image.ts";

const requirements: readonly Requirement[] = ["root", "dockerd", "docker-cli", "mount", "busybox"];
const startMs = 120_000;
const testMs = 60_000;

let bench: HoldsBench;
beforeAll(async () => {
  if (needs(...requirements).skip !== undefined) return;
  bench = new HoldsBench();
  await bench.start();
}, startMs);
afterAll(async () => await bench?.[Symbol.asyncDispose](), startMs);

function when(name: string, run: () => Promise<void>): void {
  whenPossible(requirements, name, run, testMs);
}

/** `holdfast adopt` or `release` on the bench's dockerd. */
function own(...words: readonly string[]): Promise<Ended> {
  return bench.holdfast(...words, "--engine", `unix://${bench.dockerd.socketPath}`);
}

/** Where dockerd keeps the data of a volume of its own. */
function theirs(name: string): string {
  return join(bench.dockerd.dataRoot, "volumes", name, "_data");
}

function ours(name: string): string {
  return join(bench.root, "volumes", name, "_data");
}

/** Inode, owner, mode and change time of a file: a copy has other ones. */
function proofOf(file: string): readonly unknown[] {
  const { ino, uid, gid, mode, mtimeNs, size } = statSync(file, { bigint: true });
  return [ino, uid, gid, mode, mtimeNs, size];
}

async function inspect(name: string, format: string): Promise<string> {
  return await bench.docker("volume", "inspect", "--format", format, name);
}

/** A local volume of dockerd with a file of user 999 in it. */
async function localVolume(name: string, ...words: readonly string[]): Promise<void> {
  await bench.docker("volume", "create", ...words, name);
  const script = "echo kept > /data/file && chown 999:999 /data/file && chmod 640 /data/file";
  await bench.docker(
    ...["run", "--rm", "--network=none", "-v", `${name}:/data`, testImage, "sh", "-c", script],
  );
}

/** A dockerd that the bench throws away must not be asked before removals. */
async function forgetEngine(key: string): Promise<void> {
  const path = `/holdfast/v1/engines/${encodeURIComponent(key)}`;
  await fetch(`http://holdfast${path}`, { method: "DELETE", unix: bench.daemon.socketPath });
}

describe("adopt and release", () => {
  when("move the data and copy nothing, with labels, there and back", async () => {
    await localVolume("wiki", "--label", "app=wiki", "--label", "tier=db");
    const createdAt = await inspect("wiki", "{{.CreatedAt}}");
    const file = proofOf(join(theirs("wiki"), "file"));
    const directory = statSync(theirs("wiki")).ino;
    expect(await own("adopt", "wiki")).toEqual({ exit: 0, stdout: "wiki\n", stderr: "" });
    expect(proofOf(join(ours("wiki"), "file"))).toEqual(file);
    expect(statSync(ours("wiki")).ino).toBe(directory);
    expect(() => statSync(join(theirs("wiki"), ".."))).toThrow("ENOENT");
    const shown = await bench.holdfast("volume", "inspect", "wiki");
    expect(JSON.parse(shown.stdout)).toMatchObject([
      { Driver: "local", Labels: { app: "wiki", tier: "db" }, CreatedAt: createdAt },
    ]);
    expect(await inspect("wiki", "{{.Driver}}")).toBe("holdfast");
    // The same words start the containers as before.
    const script = "cat /data/file && stat -c %u:%g:%a /data/file";
    const place = ["--network=none", "-v", "wiki:/data", testImage, "sh", "-c", script];
    expect(await bench.docker("run", "--rm", ...place)).toBe("kept\n999:999:640");
    await bench.docker("run", "--name=c1", "--volume-driver=holdfast", ...place);
    expect(await own("release", "wiki")).toMatchObject({ exit: 4, stdout: "" });
    await bench.docker("rm", "c1");
    await bench.holders("wiki");
    expect(await own("release", "wiki")).toEqual({ exit: 0, stdout: "wiki\n", stderr: "" });
    expect(proofOf(join(theirs("wiki"), "file"))).toEqual(file);
    expect(await inspect("wiki", "{{.Driver}} {{.Labels.app}} {{.Labels.tier}}")).toBe(
      "local wiki db",
    );
    expect((await bench.holdfast("volume", "inspect", "wiki")).exit).toBe(1);
    expect(await bench.docker("run", "--rm", ...place)).toBe("kept\n999:999:640");
    // And once more, to prove that nothing of the first time is in the way.
    expect((await own("adopt", "wiki")).exit).toBe(0);
    expect(proofOf(join(ours("wiki"), "file"))).toEqual(file);
    expect(await own("adopt", "wiki")).toMatchObject({ exit: 0, stdout: "wiki\n" });
    await bench.docker("volume", "rm", "wiki");
    expect((await bench.holdfast("volume", "inspect", "wiki")).exit).toBe(1);
  });

  when("keep options", async () => {
    const options = ["type=tmpfs", "device=tmpfs", "o=size=1m,uid=999"];
    const words = options.flatMap((option) => ["-o", option]);
    await bench.docker("volume", "create", ...words, "memory");
    expect(await own("adopt", "memory")).toMatchObject({ exit: 0, stderr: "" });
    const shown = JSON.parse((await bench.holdfast("volume", "inspect", "memory")).stdout);
    expect(shown).toMatchObject([
      { Options: { type: "tmpfs", device: "tmpfs", o: "size=1m,uid=999" }, Labels: null },
    ]);
    const place = ["--network=none", "-v", "memory:/data", testImage];
    expect(await bench.docker("run", "--rm", ...place, "stat", "-f", "-c", "u %T", "/data")).toBe(
      "u tmpfs",
    );
    await bench.holders("memory");
    expect(await own("release", "memory")).toMatchObject({ exit: 0, stderr: "" });
    expect(await inspect("memory", "{{json .Options}}")).toContain('"o":"size=1m,uid=999"');
    expect(await bench.docker("run", "--rm", ...place, "stat", "-c", "%u", "/data")).toBe("999");
    await bench.docker("volume", "rm", "memory");
  });
});

describe("adopt is refused", () => {
  when("while containers have the volume, and names them", async () => {
    await localVolume("shop");
    const file = proofOf(join(theirs("shop"), "file"));
    const label = "--label=com.docker.compose.project=web";
    await bench.run("db", "-v", "shop:/data", label);
    await bench.run("path", "-v", `${theirs("shop")}:/data`);
    const refused = await own("adopt", "shop");
    expect(refused).toMatchObject({ exit: 4, stdout: "" });
    expect(refused.stderr).toInclude("db of project web (running)");
    expect(refused.stderr).toInclude("path (running, by its path)");
    await bench.docker("rm", "-f", "path");
    await bench.docker("kill", "db");
    expect((await own("adopt", "shop")).stderr).toInclude("db of project web (stopped)");
    const plan = (await own("adopt", "shop", "nobody", "--dry-run")).stdout;
    expect(plan).toMatch(
      /^NAME +USED BY +ACTION +WHY NOT\nshop +db of project web \(stopped\) +none/,
    );
    expect(plan).toMatch(
      /\nnobody +- +none +the Docker Engine has no local volume of this name\n$/,
    );
    expect(proofOf(join(theirs("shop"), "file"))).toEqual(file);
    expect((await bench.holdfast("volume", "inspect", "shop")).exit).toBe(1);
    await bench.docker("start", "db");
    expect(await bench.docker("exec", "db", "cat", "/data/file")).toBe("kept");
    await bench.docker("rm", "-f", "db");
    expect((await own("adopt", "shop")).exit).toBe(0);
    await bench.holdfast("volume", "rm", "shop");
  });

  when("where the directory is another one for dockerd", async () => {
    const other = dirname(theirs("far"));
    await bench.docker("volume", "create", "far");
    const mounted = await runToEnd("mount", ["-t", "tmpfs", "far", other], { timeoutMs: 5_000 });
    expect(mounted.exit).toBe(0);
    try {
      // dockerd runs in a namespace of its own, which does not get this mount.
      mkdirSync(theirs("far"));
      expect(await own("adopt", "far")).toMatchObject({ exit: 6, stdout: "" });
      expect((await own("adopt", "far")).stderr).toInclude(
        "is not the same directory for Holdfast",
      );
    } finally {
      await runToEnd("umount", [other], { timeoutMs: 5_000 });
    }
    await bench.docker("volume", "rm", "far");
  });

  when("between file systems, with the commands that copy", async () => {
    const folder = mkdtempSync(join(tmpdir(), "holdfast-far-"));
    await runToEnd("mount", ["-t", "tmpfs", "far", folder], { timeoutMs: 5_000 });
    try {
      await using second = await startDockerd({ dataRoot: join(folder, "docker") });
      await second.docker("volume", "create", "far");
      const from = join(second.dataRoot, "volumes/far/_data");
      writeFileSync(join(from, "file"), "kept");
      const engine = ["--engine", `unix://${second.socketPath}`];
      const refused = await bench.holdfast("adopt", "far", ...engine);
      expect(refused).toMatchObject({ exit: 6, stdout: "" });
      expect(refused.stderr).toInclude("are not on the same mount of one file system");
      expect(refused.stderr).toInclude(`cp -a ${from}/. ${ours("far")}/`);
      expect((await bench.holdfast("volume", "inspect", "far")).exit).toBe(1);
      expect(statSync(join(from, "file")).size).toBe(4);
      // The way back ends before anything has moved, too.
      await bench.holdfast("volume", "create", "near");
      writeFileSync(join(ours("near"), "file"), "kept");
      const kept = await bench.holdfast("release", "near", ...engine);
      expect(kept).toMatchObject({ exit: 6, stdout: "" });
      expect(statSync(join(ours("near"), "file")).size).toBe(4);
      expect((await second.docker("volume", "ls", "-q")).stdout).toBe("far\n");
      expect((await bench.holdfast("info", "-f", "{{json .Warnings}}")).stdout).toBe("null\n");
      await forgetEngine(`docker:${second.socketPath}`);
      expect((await bench.holdfast("volume", "rm", "near")).exit).toBe(0);
    } finally {
      await runToEnd("umount", [folder], { timeoutMs: 5_000 });
      rmSync(folder, { recursive: true });
    }
  });

  when("between two mounts of one file system, and nothing is changed", async () => {
    const other = dirname(theirs("near"));
    await localVolume("near");
    await forgetEngine(`docker:${bench.dockerd.socketPath}`);
    await bench.dockerd.stop();
    const bound = await runToEnd("mount", ["--bind", other, other], { timeoutMs: 5_000 });
    expect(bound.exit).toBe(0);
    try {
      await bench.startDockerd();
      const file = proofOf(join(theirs("near"), "file"));
      const refused = await own("adopt", "near");
      expect(refused).toMatchObject({ exit: 6, stdout: "" });
      expect(refused.stderr).toInclude("are not on the same mount of one file system");
      expect(proofOf(join(theirs("near"), "file"))).toEqual(file);
      expect((await bench.holdfast("volume", "inspect", "near")).exit).toBe(1);
      expect((await bench.holdfast("info", "-f", "{{json .Warnings}}")).stdout).toBe("null\n");
    } finally {
      await forgetEngine(`docker:${bench.dockerd.socketPath}`);
      await bench.dockerd.stop();
      await runToEnd("umount", [other], { timeoutMs: 5_000 });
      await bench.startDockerd();
    }
    expect((await own("adopt", "near")).exit).toBe(0);
    await bench.holdfast("volume", "rm", "near");
  });

  when("while dockerd is stopped, with the sentence that says so", async () => {
    await localVolume("asleep");
    await bench.dockerd.killEngineOnly();
    const refused = await own("adopt", "asleep");
    expect(refused).toMatchObject({ exit: 8, stdout: "" });
    expect(refused.stderr).toInclude("start dockerd");
    expect((await own("adopt", "--all", "--dry-run")).stderr).toInclude("start dockerd");
    await bench.dockerd.restart();
    expect((await own("adopt", "asleep")).exit).toBe(0);
    await bench.holdfast("volume", "rm", "asleep");
  });

  when("for a name that Holdfast has, and for one that is not there", async () => {
    await bench.holdfast("volume", "create", "twice");
    await bench.docker("volume", "create", "-d", "local", "twice");
    expect(await own("adopt", "twice")).toMatchObject({ exit: 4 });
    expect((await own("adopt", "twice")).stderr).toInclude(
      "Holdfast has a volume twice of its own",
    );
    expect(await own("adopt", "nobody")).toMatchObject({ exit: 3 });
    expect(await own("release", "nobody")).toMatchObject({ exit: 3 });
    expect(await bench.holdfast("adopt")).toMatchObject({ exit: 2 });
    expect(await bench.holdfast("adopt", "a", "--engine", "tcp://1.2.3.4")).toMatchObject({
      exit: 2,
    });
    await bench.holdfast("volume", "rm", "twice");
    await bench.docker("volume", "rm", "twice");
  });
});

describe("adopt --all", () => {
  when("takes what no container has, and says what it leaves", async () => {
    for (const name of ["one", "two", "used"]) await localVolume(name);
    await bench.run("c2", "-v", "used:/data");
    const plan = (await own("adopt", "--all", "--dry-run", "--json")).stdout.trim().split("\n");
    const words = plan
      .map((line) => JSON.parse(line))
      .map(({ name, action }) => `${name} ${action}`);
    expect(words.toSorted()).toEqual(["one adopt", "two adopt", "used none"]);
    // Nobody answers the question: nothing is done.
    expect((await own("adopt", "--all")).stdout).toInclude(
      "Are you sure you want to continue? [y/N]",
    );
    expect((await bench.holdfast("volume", "ls", "-q")).stdout).toBe("");
    const done = await own("adopt", "--all", "--force");
    expect(done.stdout.trim().split("\n").toSorted()).toEqual(["one", "two"]);
    expect(done.stderr).toInclude("left alone: used: adopt used: containers have it: c2 (running)");
    expect(done.exit).toBe(0);
    await bench.docker("rm", "-f", "c2");
    await bench.holdfast("volume", "rm", "one", "two");
    await bench.docker("volume", "rm", "used");
  });
});
