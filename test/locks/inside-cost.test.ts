// What a container's requests cost is its own cost: others are served beside the most expensive.
import { afterAll, beforeAll, expect } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { eventually } from "../support/child.ts";
import type { HoldsBench } from "../support/holds-bench.ts";
import { needs, whenPossible } from "../support/needs.ts";
import {
  ask,
  expectAsked,
  insideDirectory,
  needsOfInside,
  sleeper,
  startInside,
} from "./inside-bench.ts";

const startMs = 120_000;
const testMs = 120_000;

/** Mounts of its own making: as many lines does the kernel show of it. */
const mountCount = 20_000;
const connectionCount = 200;
const askedCount = 15;
/** The machine may be busy with other things; without limits it was seven seconds and more. */
const slowestMsMax = 3_000;

let bench: HoldsBench;
beforeAll(async () => {
  if (needs(...needsOfInside).skip !== undefined) return;
  bench = await startInside();
  await bench.createVolume("ours");
  await bench.createVolume("theirs");
  await sleeper(bench, "victim", "-v", "ours:/data");
  const hostile = ["--cap-add=SYS_ADMIN", "--security-opt=seccomp=unconfined"];
  await sleeper(bench, "villain", "-v", "/usr:/usr:ro", "-v", "theirs:/data", ...hostile);
}, startMs);
afterAll(async () => await bench?.[Symbol.asyncDispose](), startMs);

/** Mounts, if it is to; connects so often, and asks again with each answer. Ends by itself. */
const asking = `
use Socket; use IO::Select; $| = 1; $SIG{PIPE} = "IGNORE";
my ($mounts, $path) = @ARGV;
if ($mounts) {
  mkdir "/tmp/many";
  my ($from, $type) = ("/data", "none");
  syscall(272, 0x20000) == 0 or die "unshare: $!";
  for (1 .. $mounts) {
    my $to = "/tmp/many/$_";
    mkdir $to;
    syscall(165, $from, $to, $type, 4096, 0) == 0 or die "mount: $!";
  }
}
my $select = IO::Select->new;
for (1 .. ${connectionCount}) {
  socket(my $one, PF_UNIX, SOCK_STREAM, 0) or die "socket: $!";
  connect($one, sockaddr_un("${insideDirectory}/locks.sock")) or die "connect: $!";
  $select->add($one);
  syswrite($one, "GET $path HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n");
}
print "begun\\n";
my $end = time + 25;
while (time < $end) {
  for my $one ($select->can_read(1)) {
    if (!sysread($one, my $answer, 1 << 20)) { $select->remove($one); close $one; next; }
    syswrite($one, "GET $path HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n");
  }
}
`;

async function slowestBeside(...words: readonly string[]): Promise<number> {
  writeFileSync(join(bench.folder, "asking.pl"), asking);
  await bench.docker("cp", join(bench.folder, "asking.pl"), "villain:/tmp/asking.pl");
  const script = `perl /tmp/asking.pl ${words.join(" ")} > /tmp/said 2>&1; echo over >> /tmp/said`;
  await bench.docker("exec", "villain", "rm", "-f", "/tmp/said");
  await bench.docker("exec", "-d", "villain", "sh", "-c", script);
  const said = async () =>
    (await bench.dockerd.docker("exec", "villain", "cat", "/tmp/said")).stdout;
  await eventually(
    async () => {
      const text = await said();
      if (text.includes("over")) throw new Error(text);
      return text.includes("begun") ? true : undefined;
    },
    {
      timeoutMs: 60_000,
      otherwise: () => `it does not begin: ${words}`,
    },
  );
  let slowestMs = 0;
  for (let count = 0; count < askedCount; count += 1) {
    const startedMs = performance.now();
    // Of the daemon's own socket, whoever it is that keeps it busy.
    await (await fetch("http://h/_ping", { unix: bench.daemon.socketPath })).text();
    slowestMs = Math.max(slowestMs, performance.now() - startedMs);
    await expectAsked(bench, 200, "victim", "GET", "/");
  }
  await eventually(async () => ((await said()).includes("over") ? true : undefined), {
    timeoutMs: 60_000,
    otherwise: () => "it does not end",
  });
  console.log(`beside ${words.join(" ")}: ${Math.round(slowestMs)} ms at worst`);
  return slowestMs;
}

function when(name: string, run: () => Promise<void>): void {
  whenPossible(needsOfInside, name, run, testMs);
}

when(`${mountCount} mounts of a container's own making cost others nothing`, async () => {
  expect(await slowestBeside(String(mountCount), "/")).toBeLessThan(slowestMsMax);
});

when("all the locks that a container may have are not looked at all the time", async () => {
  const url = "http://locks/holdfast/v1/volumes/theirs/locks/lock-[1-256]";
  const words = "-s -o /dev/null --json '{\"ttl\":600}'";
  const command = `curl --unix-socket ${insideDirectory}/locks.sock ${words} '${url}'`;
  await bench.docker("exec", "villain", "sh", "-c", command);
  expect((await ask(bench, "villain", "POST", "volumes/theirs/locks/more", {})).status).toBe(507);
  expect(await slowestBeside("0", "/holdfast/v1/locks")).toBeLessThan(slowestMsMax);
});
