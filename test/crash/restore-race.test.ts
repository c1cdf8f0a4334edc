// A restore while a volume of that name is being created: one of the two wins, nothing is lost.
import { expect, test } from "bun:test";
import { readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { startDaemon, temporaryDirectory } from "../support/daemon.ts";
import { printedSeed, Random } from "../support/random.ts";
import { Client, holderPath, type Volume } from "./client.ts";
import { filesBelow, keptEntries } from "./trash-entries.ts";

const roundCount = 200;
/** The second client starts up to so much later, so that either may come first. */
const headStartMs = 1;
const limitMs = 60_000;

const data = new Map([["file", "precious"]]);

/** One name, whose data lies in the trash: a restore and a create at once. */
async function race(place: Place, name: string): Promise<"restored" | "created"> {
  const { client, root, random } = place;
  await client.expect(201, "POST", "/volumes/create", { Name: name, Labels: { of: "old" } });
  await client.expect(200, "PUT", holderPath(name, "writer"));
  writeFileSync(join(root, "volumes", name, "_data/file"), "precious");
  await client.expect(204, "DELETE", holderPath(name, "writer"));
  await client.expect(204, "DELETE", `/volumes/${name}`);

  const isLate = random.chance(0.5);
  const late = async (isSecond: boolean): Promise<Client> => {
    if (isSecond) await delay(random.fraction() * headStartMs);
    return new Client(place.socketPath);
  };
  const create = { Name: name, Labels: { of: "new" } };
  const [restore, made] = await Promise.all([
    late(isLate).then((other) => other.send("POST", `/holdfast/v1/trash/${name}/restore`, {})),
    late(!isLate).then((other) => other.send("POST", "/volumes/create", create)),
  ]);
  // Docker's rule: a create of what is there answers it, whoever made it.
  expect(made.status).toBe(201);
  const { Labels } = made.body as Volume; // Docker's contract: a create answers the volume.
  const files = filesBelow(join(root, "volumes", name, "_data"));
  const entries = await keptEntries(client, root, new Set([name]));
  if (restore.status === 200) {
    expect(Labels).toEqual({ of: "old" });
    expect(files).toEqual(data);
    expect(entries).toEqual([]);
    expect(await client.volume(name)).toMatchObject({ Labels: { of: "old" } });
    return "restored";
  }
  expect(restore).toMatchObject({ status: 409, body: { code: "volume.name_taken" } });
  expect(Labels).toEqual({ of: "new" });
  expect(files.size).toBe(0);
  expect(entries.map(({ entry }) => entry.files)).toEqual([data]);
  expect(await client.volume(name)).toMatchObject({ Labels: { of: "new" } });
  return "created";
}

interface Place {
  readonly client: Client;
  readonly socketPath: string;
  readonly root: string;
  readonly random: Random;
}

test(
  `${roundCount} restores while a volume of that name is being created`,
  async () => {
    const folder = temporaryDirectory();
    const root = join(folder, "root");
    try {
      const outcomes = { restored: 0, created: 0 };
      const random = new Random(printedSeed("restore race"));
      const names = Array.from({ length: roundCount }, (_, round) => `round-${round}`);
      {
        await using daemon = await startDaemon({ root });
        const client = new Client(daemon.socketPath);
        const place = { client, socketPath: daemon.socketPath, root, random };
        for (const name of names) outcomes[await race(place, name)] += 1;
        expect(daemon.output()).not.toContain('"level":"error"');
      }
      console.log(`restore race: ${JSON.stringify(outcomes)}`);
      expect(outcomes.restored).toBeGreaterThan(0);
      expect(outcomes.created).toBeGreaterThan(0);
      // The next start finds all of it as it was.
      await using daemon = await startDaemon({ root });
      const client = new Client(daemon.socketPath);
      expect((await client.volumes()).map(({ Name }) => Name).sort()).toEqual(names.toSorted());
      expect(await client.trash()).toHaveLength(outcomes.created);
      expect(await client.warnings()).toEqual([]);
      expect(readdirSync(join(root, "trash"))).toHaveLength(outcomes.created);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
  limitMs,
);
