// Where holds are seen, and by whom: namespaces of engines, services and containers; file systems.
import { describe, expect } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { mountedImage } from "../crash/loop-image.ts";
import { eventually, startChild, stopChild } from "../support/child.ts";
import { temporaryDirectory } from "../support/daemon.ts";
import type { DockerdOptions } from "../support/dockerd.ts";
import { HoldsBench } from "../support/holds-bench.ts";
import { type Requirement, whenPossible } from "../support/needs.ts";
import { testImage } from "../support/test-image.ts";
import { areFree, isInUse, writesLand } from "./steps.ts";

const requirements: readonly Requirement[] = ["root", "dockerd", "docker-cli", "mount", "busybox"];
const testMs = 120_000;
const driver = ["--volume-driver", "holdfast"];

describe("who only has a copy of the machine's mounts", () => {
  whenPossible(
    [...requirements, "unshare"],
    "is no holder",
    async () => {
      await using bench = new HoldsBench({ dockerd: { sharesRoot: true } });
      await bench.start();
      await bench.run("db", "-v", "data:/data", ...driver);
      const copies: readonly (readonly string[])[] = [
        // PrivateTmp and the like.
        ["--mount", "--propagation", "slave"],
        ["--mount", "--propagation", "private"],
      ];
      const services = copies.map((words) => startChild("unshare", [...words, "sleep", "1000"]));
      for (const { pid = 0 } of services) await seesHolds(bench, pid);
      // Monitors and backups.
      await bench.run("monitor", "-v", "/:/host:ro,rslave");
      await bench.run("backup", "-v", `${bench.root}:/backup:ro,rslave`, "-v", "/:/host:ro");
      await bench.holders("data", "db running rw");
      await bench.docker("rm", "-f", "db");
      await areFree(bench, "data");
      for (const service of services) await stopChild(service);
      await bench.docker("rm", "-f", "monitor", "backup");
    },
    testMs,
  );
});

describe("a user with a namespace of their own", () => {
  whenPossible(
    [...requirements, "unshare"],
    "keeps no hold by binds of the directory of holds, in however long a chain of groups",
    async () => {
      await using bench = new HoldsBench();
      await bench.start();
      await bench.run("db", "-v", "data:/data", ...driver);
      // No rights on the directory are needed to bind it: root of another user namespace can.
      const script = `mount -t tmpfs none /mnt && cd /mnt && from='${bench.root}/holds'
        for each in 1 2 3 4 5 6 7 8; do
          mkdir d$each && mount --rbind "$from" d$each || exit
          mount --make-rslave d$each && mount --make-rshared d$each || exit
          from=d$each
        done
        exec sleep 1000`;
      const words = ["--mount", "--propagation", "slave", "sh", "-c", script];
      const user = startChild("unshare", words);
      await seesHolds(bench, user.pid ?? 0);
      await bench.holders("data", "db running rw");
      await bench.docker("rm", "-f", "db");
      await areFree(bench, "data");
      await stopChild(user);
    },
    testMs,
  );
});

async function seesHolds(bench: HoldsBench, pid: number): Promise<void> {
  const [hold = ""] = bench.holdMounts();
  await eventually(
    () => {
      const isOwn = readFileSync(`/proc/${pid}/comm`, "utf8") === "sleep\n";
      const table = readFileSync(`/proc/${pid}/mountinfo`, "utf8");
      return isOwn && table.includes(hold) ? true : undefined;
    },
    { timeoutMs: 10_000, otherwise: () => `process ${pid} does not see ${hold}` },
  );
}

describe("an engine in a namespace that gets no mounts", () => {
  whenPossible(
    [...requirements, "unshare"],
    "is refused and told the fix",
    async () => {
      const dockerd: Partial<DockerdOptions> = { propagation: "private" };
      await using bench = new HoldsBench({ dockerd });
      await bench.start();
      const words = ["run", "--name", "db", "--network", "none", "-v", "data:/data", ...driver];
      const said = await bench.refused(...words, testImage, "true");
      expect(said).toContain("does not see");
      expect(said).toContain("mount --make-rshared /");
      expect(bench.holdMounts()).toEqual([]);
      expect(readdirSync(join(bench.root, "holds"))).toEqual([]);
      await bench.holders("data");
      await areFree(bench, "data");
    },
    testMs,
  );
});

describe("a root on btrfs", () => {
  whenPossible(
    [...requirements, "btrfs", "loop"],
    "is matched by the kernel's own lines",
    async () => {
      const folder = temporaryDirectory();
      await using disk = await mountedImage(folder, { type: "btrfs" });
      await using bench = new HoldsBench({ root: join(disk.path, "root") });
      await bench.start();
      await bench.run("db", "-v", "data:/data", ...driver);
      await bench.run("next", "-v", "data:/data:ro", ...driver);
      await bench.holders("data", "db running rw", "next running ro");
      await bench.docker("rm", "-f", "db");
      await bench.holders("data", "next running ro");
      await isInUse(bench, "data");
      await bench.docker("restart", "next");
      await bench.holders("data", "next running ro");
      await bench.run("db", "-v", "data:/data");
      await writesLand(bench, "db", "data");
      await bench.docker("rm", "-f", "db", "next");
      await areFree(bench, "data");
    },
    testMs,
  );
});
