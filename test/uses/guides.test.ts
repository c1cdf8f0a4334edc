// The guides' commands with a container engine beside Holdfast print what the guides show.
import { afterAll, describe, expect } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { sourceRoot } from "../../tools/source-root.ts";
import { ShownIds } from "../e2e/shown-ids.ts";
import { readFiles, readTours, type Tour } from "../e2e/tour.ts";
import { untruths } from "../e2e/untruths.ts";
import { type Requirement, whenPossible } from "../support/needs.ts";
import { EngineStage } from "./engine-stage.ts";

/** A tour starts daemons and dozens of programs. */
const timeoutMs = 120_000;

const requirements = {
  docker: ["root", "dockerd", "docker-cli", "mount", "unshare", "busybox"],
  podman: ["root", "podman", "mount", "busybox"],
} as const satisfies Record<string, readonly Requirement[]>;

for (const name of readdirSync(join(sourceRoot, "docs/guide")).toSorted()) {
  const document = `docs/guide/${name}`;
  const text = readFileSync(join(sourceRoot, document), "utf8");
  for (const place of ["docker", "podman"] as const) {
    for (const tour of readTours(document, text, place)) play(tour, place, readFiles(text));
  }
}

function play(
  { document, blocks }: Tour,
  place: "docker" | "podman",
  files: ReadonlyMap<string, string>,
): void {
  describe(document, () => {
    let stage: EngineStage | undefined;
    const ids = new ShownIds();
    afterAll(async () => await stage?.[Symbol.asyncDispose](), timeoutMs);
    const uses = (program: string) =>
      blocks.some(({ steps }) => steps.some(({ words }) => words[0] === program));
    const needed: readonly Requirement[] = [
      ...requirements[place],
      ...(uses("docker-compose") ? (["docker-compose"] as const) : []),
      ...(uses("rclone") ? (["rclone", "fuse"] as const) : []),
    ];
    for (const block of blocks) {
      whenPossible(
        needed,
        `the tour of ${document}:${block.line} prints what it shows`,
        async () => {
          stage ??= await EngineStage.open(place, files);
          expect((await untruths(block, stage, ids)).join("\n")).toBe("");
        },
        timeoutMs,
      );
    }
  });
}
