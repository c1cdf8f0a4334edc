// Two clients that race on one name: one outcome, one that Docker allows, and events that agree.
import { expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { type Answer, Client, type Volume } from "../crash/client.ts";
import { startDaemon, temporaryDirectory } from "../support/daemon.ts";
import { printedSeed, Random } from "../support/random.ts";
import { EventFollower } from "./follower.ts";

const roundCount = 250;
/** The second client starts up to so much later, so that either may come first. */
const headStartMs = 2;

/** The two clients, and what a round needs to know. */
interface Round {
  readonly name: string;
  readonly first: Client;
  readonly second: Client;
  /** Starts both requests, in either order. */
  race(one: () => Promise<Answer>, two: () => Promise<Answer>): Promise<readonly [Answer, Answer]>;
  /** What is there now; undefined for nothing. */
  found(): Promise<Volume | undefined>;
  /**
   * Waits for the events of all that was answered, then says how many there were of this volume.
   */
  events(): Promise<{ readonly create: number; readonly destroy: number }>;
}

/** Plays all rounds, and answers how often each outcome came. */
async function rounds(
  subject: string,
  play: (round: Round) => Promise<string>,
): Promise<ReadonlyMap<string, number>> {
  const outcomes = new Map<string, number>();
  const folder = temporaryDirectory();
  const random = new Random(printedSeed(subject));
  try {
    await using daemon = await startDaemon({ root: join(folder, "root") });
    using follower = new EventFollower(daemon.socketPath);
    await follower.ready();
    const first = new Client(daemon.socketPath);
    const second = new Client(daemon.socketPath);
    for (let index = 0; index < roundCount; index++) {
      const name = `round-${index}`;
      const outcome = await play({
        name,
        first,
        second,
        async race(one, two) {
          const pauses = random.chance(0.5) ? [0, 0] : [random.fraction(), random.fraction()];
          const late = async (run: () => Promise<Answer>, pause = 0): Promise<Answer> => {
            if (pause > 0) await delay(pause * headStartMs);
            return await run();
          };
          if (random.chance(0.5)) return await Promise.all([late(one, pauses[0]), late(two)]);
          const [last, other] = await Promise.all([late(two, pauses[1]), late(one)]);
          return [other, last];
        },
        async found() {
          const answer = await first.send("GET", `/volumes/${name}`);
          return answer.status === 200 ? volumeOf(answer) : undefined;
        },
        async events() {
          await first.expect(201, "POST", "/volumes/create", { Name: `${name}-end` });
          await follower.untilCreated(`${name}-end`);
          await first.expect(204, "DELETE", `/volumes/${name}-end`);
          return {
            create: follower.count("create", name),
            destroy: follower.count("destroy", name),
          };
        },
      });
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      await first.send("DELETE", `/volumes/${name}?force=1`);
    }
    expect(daemon.output()).not.toContain('"level":"error"');
    console.log(`${subject}: ${JSON.stringify(Object.fromEntries(outcomes))}`);
    return outcomes;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function anyWay(subject: string, play: (round: Round) => Promise<string>): Promise<void> {
  await rounds(subject, play);
}

/** For equal clients: either wins sometimes, otherwise it was no race. */
async function bothWays(subject: string, play: (round: Round) => Promise<string>): Promise<void> {
  expect([...(await rounds(subject, play)).keys()].sort()).toEqual(["first wins", "second wins"]);
}

const create = (client: Client, name: string, by: string) => () =>
  client.send("POST", "/volumes/create", { Name: name, Labels: { by } });
const remove = (client: Client, name: string) => () => client.send("DELETE", `/volumes/${name}`);
const prune = (client: Client) => () =>
  client.send("POST", `/volumes/prune?filters=${encodeURIComponent('{"all":["1"]}')}`);

/** Docker's contract: a create answers the volume. */
function volumeOf({ body }: Answer): Volume {
  return body as Volume;
}

function makerOf(volume: Volume | undefined): string | undefined {
  return volume?.Labels?.["by"];
}

function deletedBy({ status, body }: Answer): readonly string[] {
  expect(status).toBe(200);
  return (body as { VolumesDeleted: string[] | null }).VolumesDeleted ?? []; // Docker's contract.
}

test("create and create: one wins, and both get its volume", () =>
  bothWays("create/create", async ({ name, first, second, race, found, events }) => {
    const [one, two] = await race(create(first, name, "first"), create(second, name, "second"));
    expect([one.status, two.status]).toEqual([201, 201]);
    expect(one.body).toEqual(two.body);
    expect(["first", "second"]).toContain(makerOf(volumeOf(one)) ?? "nobody");
    expect(await found()).toEqual(volumeOf(one));
    expect(await events()).toEqual({ create: 1, destroy: 0 });
    return `${makerOf(volumeOf(one))} wins`;
  }));

test("remove and remove: one removes, the other finds nothing", () =>
  bothWays("remove/remove", async ({ name, first, second, race, found, events }) => {
    await create(first, name, "first")();
    const [one, two] = await race(remove(first, name), remove(second, name));
    expect([one.status, two.status].sort()).toEqual([204, 404]);
    expect(await found()).toBeUndefined();
    expect(await events()).toEqual({ create: 1, destroy: 1 });
    return one.status === 204 ? "first wins" : "second wins";
  }));

test("create and remove of nothing: the removal comes before or after", () =>
  anyWay("create/remove", async ({ name, first, second, race, found, events }) => {
    const [made, removed] = await race(create(first, name, "first"), remove(second, name));
    expect(made.status).toBe(201);
    expect(makerOf(volumeOf(made))).toBe("first");
    expect([204, 404]).toContain(removed.status);
    const isGone = removed.status === 204;
    expect(makerOf(await found())).toBe(isGone ? undefined : "first");
    expect(await events()).toEqual({ create: 1, destroy: isGone ? 1 : 0 });
    return isGone ? "create first" : "removal first";
  }));

test("create and remove of what is there: the old one or a new one, never a mixture", () =>
  anyWay("existing create/remove", async ({ name, first, second, race, found, events }) => {
    await create(first, name, "before")();
    const [made, removed] = await race(create(first, name, "first"), remove(second, name));
    expect([made.status, removed.status]).toEqual([201, 204]);
    const isNew = makerOf(volumeOf(made)) === "first";
    if (!isNew) expect(makerOf(volumeOf(made))).toBe("before");
    expect(await found()).toEqual(isNew ? volumeOf(made) : undefined);
    expect(await events()).toEqual({ create: isNew ? 2 : 1, destroy: 1 });
    return isNew ? "removal first" : "create first";
  }));

test("prune and create of what is there: the old one or a new one, never a mixture", () =>
  anyWay("existing prune/create", async ({ name, first, second, race, found, events }) => {
    await create(first, name, "before")();
    const [pruned, made] = await race(prune(first), create(second, name, "second"));
    expect(deletedBy(pruned)).toEqual([name]);
    expect(made.status).toBe(201);
    const isNew = makerOf(volumeOf(made)) === "second";
    if (!isNew) expect(makerOf(volumeOf(made))).toBe("before");
    expect(await found()).toEqual(isNew ? volumeOf(made) : undefined);
    expect(await events()).toEqual({ create: isNew ? 2 : 1, destroy: 1 });
    return isNew ? "removal first" : "create first";
  }));

test("create and prune of nothing: what is pruned is gone, what is not is there", () =>
  anyWay("create/prune", async ({ name, first, second, race, found, events }) => {
    const [made, pruned] = await race(create(first, name, "first"), prune(second));
    expect(made.status).toBe(201);
    const isGone = deletedBy(pruned).length > 0;
    expect(deletedBy(pruned)).toEqual(isGone ? [name] : []);
    expect(makerOf(await found())).toBe(isGone ? undefined : "first");
    expect(await events()).toEqual({ create: 1, destroy: isGone ? 1 : 0 });
    return isGone ? "create first" : "prune first";
  }));

test("remove and prune: exactly one of them removes", () =>
  anyWay("remove/prune", async ({ name, first, second, race, found, events }) => {
    await create(first, name, "first")();
    const [removed, pruned] = await race(remove(first, name), prune(second));
    const wasPruned = deletedBy(pruned).length > 0;
    expect(removed.status).toBe(wasPruned ? 404 : 204);
    expect(await found()).toBeUndefined();
    expect(await events()).toEqual({ create: 1, destroy: 1 });
    return wasPruned ? "prune wins" : "removal wins";
  }));

test("prune and prune: one removes, the other finds nothing or is told to wait", () =>
  anyWay("prune/prune", async ({ name, first, second, race, found, events }) => {
    await create(first, name, "first")();
    const answers = await race(prune(first), prune(second));
    const deleted = answers.flatMap((answer) => (answer.status === 409 ? [] : deletedBy(answer)));
    expect(deleted).toEqual([name]);
    expect(await found()).toBeUndefined();
    expect(await events()).toEqual({ create: 1, destroy: 1 });
    return answers.map(({ status }) => status).join(" and ");
  }));
