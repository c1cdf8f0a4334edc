// Random sequences of all verbs from several clients, against a model of each: names, labels and
// contents always match.
import { expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { startDaemon, temporaryDirectory } from "../support/daemon.ts";
import { needs } from "../support/needs.ts";
import { printedSeed, Random } from "../support/random.ts";
import { Client } from "./client.ts";
import { runLoad } from "./load.ts";
import { unmountBelow } from "./loop-image.ts";
import { ClientModel, verbCounts } from "./model.ts";
import { compare, untilPurged } from "./reality.ts";

const clientCount = 8;
const namesPerClient = 5;
/** Verbs between two comparisons of everything, by all clients together. */
const verbsPerRound = 500;
const roundCount = 8;
const limitMs = 120_000;

/** Every change that a client can make. */
const verbs = [
  ...["create", "mount", "unmount", "remove", "rm-purge", "prune", "plan"],
  ...["restore", "purge", "rename", "forget", "update", "protect", "unprotect"],
];

async function inFreshRoot(run: (root: string) => Promise<void>): Promise<void> {
  const folder = temporaryDirectory();
  try {
    await run(join(folder, "root"));
  } finally {
    await unmountBelow(folder);
    rmSync(folder, { recursive: true, force: true });
  }
}

test(
  `${verbsPerRound * roundCount} random verbs of ${clientCount} clients`,
  () =>
    inFreshRoot(async (root) => {
      const random = new Random(printedSeed("verbs"));
      const models = Array.from(
        { length: clientCount },
        (_, index) => new ClientModel(`client${index}`, namesPerClient),
      );
      for (let round = 0; round < roundCount; round++) {
        // Each second round goes on with a daemon that has just read everything again.
        await using daemon = await startDaemon({ root });
        const client = new Client(daemon.socketPath);
        expect(await compare({ client, root }, models)).toEqual([]);
        let left = verbsPerRound;
        const loads = models.map((model) =>
          runLoad({
            client: new Client(daemon.socketPath),
            model,
            random: random.fork(),
            root,
            canMount: needs("root", "mount").skip === undefined,
            isKilled: () => left <= 0,
            onAnswer: () => {
              left -= 1;
            },
          }),
        );
        await Promise.all(loads);
        expect(await compare({ client, root }, models)).toEqual([]);
        await untilPurged({ client, root });
      }
      const counts = verbCounts(models);
      console.log(`verbs: ${JSON.stringify(counts)}`);
      for (const verb of verbs)
        expect({ verb, count: counts[verb] ?? 0 }).not.toEqual({ verb, count: 0 });
    }),
  limitMs,
);
