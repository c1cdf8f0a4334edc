// Power cuts at acknowledgements, on ext4, xfs and btrfs: the same promises as after a kill -9.
import { expect } from "bun:test";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryDirectory } from "../support/daemon.ts";
import { whenPossible } from "../support/needs.ts";
import { printedSeed, Random } from "../support/random.ts";
import { cutPower, type PowerCutRun } from "./power-cuts.ts";

const requirements = ["root", "mount", "loop", "ext4", "xfs", "btrfs"] as const;
const types = ["ext4", "xfs", "btrfs"] as const;
const cutsPerType = 7;
const limitMs = 300_000;

async function inMemory(run: Omit<PowerCutRun, "folder" | "random">) {
  const folder = temporaryDirectory();
  try {
    const random = new Random(printedSeed("power cut"));
    const report = await cutPower({ ...run, folder, random });
    const { cutCount, acknowledgedCount, complaints } = report;
    console.log(`power cut: ${JSON.stringify({ cutCount, acknowledgedCount })}`);
    return { ...report, complaints: [...complaints] };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

whenPossible(
  requirements,
  `nothing acknowledged is lost in ${types.length * cutsPerType} power cuts`,
  async () => {
    const { complaints, cutCount, acknowledgedCount } = await inMemory({ types, cutsPerType });
    expect(complaints).toEqual([]);
    expect(acknowledgedCount).toBeGreaterThan(cutCount * 10);
  },
  limitMs,
);

whenPossible(
  requirements,
  "a daemon that acknowledges before the disk has it is found out by the same cuts",
  async () => {
    const preload = temporaryDirectory();
    try {
      const careless = join(preload, "careless.ts");
      writeFileSync(careless, 'import fs from "node:fs"; fs.fdatasyncSync = () => undefined;\n');
      const environment = { BUN_OPTIONS: `--preload ${careless}` };
      const run = { types: ["ext4"], cutsPerType: 4, environment } as const;
      const { complaints } = await inMemory(run);
      expect(complaints.length).toBeGreaterThan(0);
    } finally {
      rmSync(preload, { recursive: true, force: true });
    }
  },
  limitMs,
);
