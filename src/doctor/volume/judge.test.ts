// Each rule broken once, and what is known of each kind of storage.
import { describe, expect, test } from "bun:test";
import {
  type Ability,
  type Answer,
  abilities,
  type Measurement,
  type StorageFacts,
  storageUses,
} from "../../core/volume-report.ts";
import { uses } from "./fitness.ts";
import { storageJudge } from "./judge.ts";

/** Storage that has everything, but for what is named. */
function measured(
  changes: Partial<Record<Ability, Partial<Measurement>>> = {},
): readonly Measurement[] {
  return abilities.map((ability) => ({
    ...{ ability, answer: "yes", value: "yes", figure: null, detail: "", tookMs: 0 },
    ...changes[ability],
  }));
}

function verdictOf(use: string, changes: Parameters<typeof measured>[0]) {
  const found = storageJudge.fitness(measured(changes)).find((each) => each.use === use);
  if (found === undefined) throw new Error(`nothing is said of ${use}`);
  return found;
}

test("all uses are judged, each once, and what has everything is fit for all", () => {
  const judged = storageJudge.fitness(measured());
  expect(judged.map(({ use }) => use)).toEqual([...storageUses]);
  expect(judged.filter(({ verdict }) => verdict !== "fit")).toEqual([]);
});

describe("a broken rule is told with its reason and a remedy", () => {
  for (const { use, title, rules } of uses) {
    test(title, () => {
      for (const { ability, kind, because, change, most } of rules) {
        const broken =
          most === undefined ? { answer: "no" as const } : { figure: most + 0.1, value: "slow" };
        const { verdict, reasons } = verdictOf(use, { [ability]: broken });
        expect(`${ability} ${verdict}`).toBe(`${ability} ${kind === "need" ? "unfit" : "care"}`);
        const told = reasons.find((each) => each.because === because);
        expect(told).toMatchObject({ ability, change });
        expect(`${because}${change}`).not.toMatch(/\.$|^[A-Z]\w+ .*\. /);
      }
    });
  }
});

test("what is not known makes a verdict unknown only where it is needed", () => {
  const unknown = { answer: "unknown" } as const;
  expect(verdictOf("postgresql", { fsync: unknown }).verdict).toBe("unknown");
  expect(verdictOf("postgresql", { symlinks: unknown }).verdict).toBe("fit");
  const both = { fsync: unknown, owners: { answer: "no" } } as const;
  const { verdict, reasons } = verdictOf("postgresql", both);
  expect(verdict).toBe("unfit");
  expect(reasons.map(({ ability }) => ability)).toEqual(["owners", "fsync"]);
  const ofNothing = storageJudge.fitness([]).map(({ verdict }) => verdict);
  expect([...new Set(ofNothing)]).toEqual(["unknown"]);
});

test("a figure at the limit will do", () => {
  expect(verdictOf("etcd", { fsync: { figure: 10 } }).verdict).toBe("fit");
  expect(verdictOf("etcd", { fsync: { figure: 10.1 } }).verdict).toBe("care");
});

describe("known without a try", () => {
  const known = (changes: Partial<StorageFacts>, ability: Ability): Answer | undefined => {
    const facts = { fileSystem: "ext4", source: "", options: [], isWrittenLater: false };
    const found = storageJudge.known({ ...facts, ...changes });
    return found.find((each) => each.ability === ability)?.answer;
  };

  test("whether it survives a power cut", () => {
    const ability = "survives-power-cut";
    expect(known({}, ability)).toBe("yes");
    expect(known({ options: ["nobarrier"] }, ability)).toBe("no");
    expect(known({ fileSystem: "tmpfs" }, ability)).toBe("no");
    expect(known({ fileSystem: "overlay", options: ["volatile"] }, ability)).toBe("no");
    expect(known({ fileSystem: "fuse.rclone" }, ability)).toBe("no");
    expect(known({ fileSystem: "nfs4", isWrittenLater: true }, ability)).toBe("no");
    expect(known({ fileSystem: "fuse.something" }, ability)).toBe("unknown");
    expect(known({ fileSystem: "" }, ability)).toBe("unknown");
  });

  test("whether it waits for its server", () => {
    const ability = "waits-for-server";
    expect(known({}, ability)).toBe("yes");
    expect(known({ fileSystem: "nfs4", options: ["hard"] }, ability)).toBe("yes");
    expect(known({ fileSystem: "nfs4", options: ["soft"] }, ability)).toBe("no");
    expect(known({ fileSystem: "nfs", options: ["softerr"] }, ability)).toBe("no");
    expect(known({ fileSystem: "cifs" }, ability)).toBe("no");
    expect(known({ fileSystem: "cifs", options: ["hard"] }, ability)).toBe("yes");
    expect(known({ fileSystem: "fuse.sshfs" }, ability)).toBe("no");
    expect(known({ fileSystem: "virtiofs" }, ability)).toBe("unknown");
  });

  test("what a kind never has, and where the data is", () => {
    expect(known({ fileSystem: "fuse.rclone" }, "hard-links")).toBe("no");
    expect(known({ fileSystem: "vfat" }, "symlinks")).toBe("no");
    expect(known({ fileSystem: "nfs4" }, "hard-links")).toBeUndefined();
    expect(known({}, "on-this-machine")).toBe("yes");
    expect(known({ fileSystem: "cifs" }, "on-this-machine")).toBe("no");
    expect(known({ fileSystem: "fuse.x" }, "on-this-machine")).toBe("unknown");
  });
});
