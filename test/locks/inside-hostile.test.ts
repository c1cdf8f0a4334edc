// Containers that try to lock others out, or to be others: they have their share and no more.
import { afterAll, beforeAll, expect } from "bun:test";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmdirSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { containerPid } from "../holds/steps.ts";
import { eventually, signalAll } from "../support/child.ts";
import type { HoldsBench } from "../support/holds-bench.ts";
import { needs, whenPossible } from "../support/needs.ts";
import {
  allLocks,
  ask,
  expectAsked,
  insideDirectory,
  needsOfInside,
  sleeper,
  startInside,
  steal,
} from "./inside-bench.ts";

const startMs = 120_000;
const testMs = 120_000;
const connectionCount = 10_000;
/** What one container has of them at most. */
const shareMax = 256;

let bench: HoldsBench;
beforeAll(async () => {
  if (needs(...needsOfInside).skip !== undefined) return;
  bench = await startInside();
  await bench.createVolume("ours");
  await bench.createVolume("theirs");
  // All programs of this machine, for Perl; root of the container may do anything to its mounts.
  const hostile = [
    "-v",
    "/usr:/usr:ro",
    "--cap-add=SYS_ADMIN",
    "--security-opt=seccomp=unconfined",
  ];
  await sleeper(bench, "victim", "-v", "ours:/data");
  await sleeper(bench, "villain", "-v", "theirs:/data", "--ulimit=nofile=20000", ...hostile);
}, startMs);
afterAll(async () => await bench?.[Symbol.asyncDispose](), startMs);

function when(name: string, run: () => Promise<void>): void {
  whenPossible(needsOfInside, name, run, testMs);
}

/** Connects so often, sends a part of a request on each, and keeps what it got. */
const connecting = `
use Socket; $| = 1; $SIG{PIPE} = "IGNORE";
for (1 .. ${connectionCount}) {
  socket(my $one, PF_UNIX, SOCK_STREAM, 0) or die "socket: $!";
  connect($one, sockaddr_un("${insideDirectory}/locks.sock")) or die "connect: $!";
  syswrite($one, "GET / HTTP/1.1\\r\\nHost: ");
  push @all, $one;
  print "$_\\n" if $_ % 1000 == 0;
}
sleep 90;
`;

when(`${connectionCount} connections of one container leave others working`, async () => {
  writeFileSync(join(bench.folder, "connecting.pl"), connecting);
  await bench.docker("cp", join(bench.folder, "connecting.pl"), "villain:/tmp/connecting.pl");
  const script = "perl /tmp/connecting.pl > /tmp/made 2>&1";
  await bench.docker("exec", "-d", "villain", "sh", "-c", script);
  let slowestMs = 0;
  let madeCount = 0;
  let takenCount = 0;
  let refusedCount = 0;
  const before = socketsOf(bench);
  while (madeCount < connectionCount) {
    const startedMs = performance.now();
    // Where the queue of the socket is full, the kernel has who will not wait try again.
    await eventually(
      async () => ((await ask(bench, "victim", "GET", "/")).status === 200 ? true : undefined),
      { timeoutMs: 20_000, otherwise: () => "the victim is not served" },
    );
    slowestMs = Math.max(slowestMs, performance.now() - startedMs);
    takenCount = Math.max(takenCount, socketsOf(bench) - before);
    if ((await ask(bench, "villain", "GET", "/")).status !== 200) refusedCount += 1;
    const made = await bench.docker("exec", "villain", "sh", "-c", "tail -n 1 /tmp/made");
    if (/\D/.test(made)) throw new Error(made);
    madeCount = Number(made);
  }
  console.log(`victim beside ${madeCount} connections: ${Math.round(slowestMs)} ms at worst`);
  expect(slowestMs).toBeLessThan(10_000);
  expect(takenCount).toBeGreaterThan(shareMax / 2);
  expect(takenCount).toBeLessThanOrEqual(shareMax + 8);
  // It has used up its own share only, and what never becomes a request ends after its time.
  expect(refusedCount).toBeGreaterThan(0);
  await eventually(
    async () => ((await ask(bench, "villain", "GET", "/")).status === 200 ? true : undefined),
    { timeoutMs: 40_000, otherwise: () => "its connections stay" },
  );
});

when("mounts of its own making give a container no rights", async () => {
  const mounts = [
    "mkdir -p /tmp/ours /tmp/again /tmp/holds",
    // Whatever it mounts, it has no mount of the other volume to copy.
    "mount -t tmpfs ours /tmp/ours",
    "mount --bind /data /tmp/again",
    "mount --make-rshared /tmp/again",
    "mount --bind /tmp/again /tmp/holds",
    `curl -s --unix-socket ${insideDirectory}/locks.sock http://locks/`,
  ];
  const command = ["unshare", "--mount", "--propagation=slave", "sh", "-c", mounts.join(" && ")];
  const { volumes } = JSON.parse(await bench.docker("exec", "villain", ...command));
  const names = volumes.map((one: { readonly volume: string }) => one.volume);
  expect(new Set(names)).toEqual(new Set(["theirs"]));
});

when(
  "a control group that bears another container's name gives neither rights nor name",
  async () => {
    const [victim, villain] = await Promise.all(
      ["victim", "villain"].map((name) => bench.docker("inspect", "-f", "{{.Id}}", name)),
    );
    const groups = controlGroupsOf(await containerPid(bench, "villain")).map((group) =>
      join(group, victim ?? ""),
    );
    const asked = `curl -s --unix-socket ${insideDirectory}/locks.sock`;
    const url = "http://locks/holdfast/v1";
    const words = `until [ -e /go ]; do sleep 0.1; done; ${asked} ${url}/locks > /own
    ${asked} --json '{"ttl":600,"label":"forged"}' ${url}/volumes/theirs/locks/forged > /took
    touch /done; sleep 1000`;
    await bench.docker("exec", "-d", "villain", "sh", "-c", words);
    const shell = await shellWaiting(bench);
    const made = groups.filter((group) => moveInto(group, shell));
    try {
      expect(made.length).toBeGreaterThan(0);
      await bench.docker("exec", "villain", "touch", "/go");
      await eventually(
        async () =>
          (await bench.dockerd.docker("exec", "villain", "ls", "/done")).exit === 0
            ? true
            : undefined,
        { timeoutMs: 20_000, otherwise: () => "nothing was asked" },
      );
      const { volumes } = JSON.parse(await bench.docker("exec", "villain", "cat", "/own"));
      expect(volumes).toEqual([{ volume: "theirs", target: "/data", access: "rw" }]);
      const forged = (await allLocks(bench)).find(({ holder }) => holder.label === "forged");
      expect(forged?.holder.container).toBe(villain ?? "");
      if (forged !== undefined) await steal(bench, forged);
      // It has only what its own container has left.
      expect(JSON.stringify(await expectAsked(bench, 200, "victim", "GET", "locks"))).not.toContain(
        "forged",
      );
    } finally {
      signalAll([shell], "SIGKILL");
      for (const group of made) await untilRemoved(group);
    }
  },
);

when("one container has so many locks, and others get theirs", async () => {
  const url = `http://locks/holdfast/v1/volumes/theirs/locks/lock-[1-${shareMax + 20}]`;
  const words = `-s -o /dev/null -w '%{http_code}\\n' --json '{"ttl":600}'`;
  const asked = `curl --unix-socket ${insideDirectory}/locks.sock ${words} '${url}'`;
  const command = `${asked} | sort | uniq -c`;
  const counted = await bench.docker("exec", "villain", "sh", "-c", command);
  expect(counted.replaceAll(/ +/g, " ").trim().split("\n ")).toEqual([`${shareMax} 200`, "20 507"]);
  await expectAsked(bench, 200, "victim", "POST", "volumes/ours/locks/mine", {});
  expect(await allLocks(bench)).toHaveLength(shareMax + 1);
  // What has ended is counted no more.
  const first = "volumes/theirs/locks/lock-1";
  const [held] = await allLocks(bench);
  expect(held?.lock).toBe("lock-1");
  await fetch(`http://h/holdfast/v1/${first}?fence=${held?.fence}`, {
    ...{ method: "DELETE", unix: bench.daemon.socketPath },
  });
  await expectAsked(bench, 200, "villain", "POST", first, {});
});

/** Where its control groups are, in each hierarchy. */
function controlGroupsOf(pid: number): readonly string[] {
  const lines = readFileSync(`/proc/${pid}/cgroup`, "utf8").trim().split("\n");
  return lines.flatMap((line) => {
    const [, kinds = "", path = ""] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    const place = join("/sys/fs/cgroup", kinds.replace("name=", ""), path);
    return existsSync(join(place, "cgroup.procs")) ? [place] : [];
  });
}

/** False where this hierarchy wants more before it takes a process. */
function moveInto(group: string, pid: number): boolean {
  mkdirSync(group);
  try {
    writeFileSync(join(group, "cgroup.procs"), String(pid));
    return true;
  } catch {
    rmdirSync(group);
    return false;
  }
}

/** The host's number of the shell that waits for its sign. */
async function shellWaiting(bench: HoldsBench): Promise<number> {
  return await eventually(
    async () => {
      const rows = (await bench.docker("top", "villain", "-eo", "pid,args")).split("\n");
      const row = rows.find((line) => line.includes("until [ -e /go ]"));
      return row === undefined ? undefined : Number.parseInt(row, 10);
    },
    { timeoutMs: 10_000, otherwise: () => "the shell does not start" },
  );
}

/** With whatever is in it. */
async function untilRemoved(group: string): Promise<void> {
  await eventually(
    () => {
      const pids = readFileSync(join(group, "cgroup.procs"), "utf8").trim().split("\n");
      signalAll(pids.filter((pid) => pid !== "").map(Number), "SIGKILL");
      try {
        rmdirSync(group);
        return true;
      } catch {
        return undefined;
      }
    },
    { timeoutMs: 20_000, otherwise: () => `${group} is busy` },
  );
}

/** How many sockets the daemon has open, by the kernel's word. */
function socketsOf({ daemon }: HoldsBench): number {
  const folder = `/proc/${daemon.pid}/fd`;
  return readdirSync(folder).filter((name) => {
    try {
      return readlinkSync(join(folder, name)).startsWith("socket:");
    } catch {
      // It has been closed meanwhile.
      return false;
    }
  }).length;
}
