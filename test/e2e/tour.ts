// Tours: the blocks of documents that tests execute. This file finds and reads them.
//
// `<!-- tour -->` before a fenced block begins a tour on an engine without volumes;
// `<!-- tour goes on -->` is its next block. What a block needs of the machine stands behind a
// colon: `<!-- tour: mount -->`. In the block `$ ` begins a command, all else is its output, and
// what stands behind a question (`[y/N]`, `to go on:`) is typed. An id that was shown may be used
// in a later command of the tour; it stands for the one of the run.
// `<!-- docker tour -->` is for a Docker Engine that keeps its volumes on Holdfast, `<!-- podman
// tour -->` for such a Podman, `<!-- nas tour -->` for Holdfast beside servers of NFS and SMB.
// `<!-- file compose.yml -->` before a block makes it that file.
import { commandWords } from "./command-words.ts";

export interface Step {
  /** The line of the document, counted from 1. */
  readonly line: number;
  readonly command: string;
  readonly words: readonly string[];
  /** The output as the document shows it. */
  readonly shown: readonly string[];
}

export interface TourBlock {
  readonly line: number;
  /** Names of test/support/needs.ts, as the document gives them. */
  readonly needs: readonly string[];
  readonly steps: readonly Step[];
}

/** Blocks that run one after another on the same engine. */
export interface Tour {
  readonly document: string;
  readonly blocks: readonly TourBlock[];
}

export interface Fence {
  /** The line of its opening. */
  readonly line: number;
  readonly language: string;
  readonly lines: readonly string[];
  /** The nearest line above that is not empty. */
  readonly above: string;
}

const tourMark = /^<!-- (?:(docker|podman|nas) )?tour( goes on)?(?:: ([\w -]+))? -->$/;
const fileMark = /^<!-- file (\S+) -->$/;

/** Where a tour is played: on Holdfast alone, or with a container engine beside it. */
export const tourPlaces = ["holdfast", "docker", "podman", "nas"] as const;

export type TourPlace = (typeof tourPlaces)[number];

/** Files that the document shows, by name. */
export function readFiles(text: string): ReadonlyMap<string, string> {
  return new Map(
    readFences(text).flatMap(({ above, lines }): readonly (readonly [string, string])[] => {
      const name = fileMark.exec(above)?.[1];
      return name === undefined ? [] : [[name, `${lines.join("\n")}\n`]];
    }),
  );
}

/** All tours of a document for a place. Throws where a block shows commands and is no tour. */
export function readTours(
  document: string,
  text: string,
  place: TourPlace = "holdfast",
): readonly Tour[] {
  const tours: { document: string; blocks: TourBlock[] }[] = [];
  for (const fence of readFences(text)) {
    const at = `${document}:${fence.line}`;
    const [mark, engine = "holdfast", goesOn, needs = ""] = tourMark.exec(fence.above) ?? [];
    if (mark === undefined) {
      if (!fence.lines.some((line) => line.startsWith("$ "))) continue;
      throw new Error(`${at}: a block with commands needs <!-- tour --> above it`);
    }
    if (engine !== place) continue;
    const block = {
      line: fence.line,
      needs: needs.split(" ").filter((name) => name !== ""),
      steps: readSteps(fence, at),
    };
    const last = tours.at(-1);
    if (goesOn === undefined) tours.push({ document, blocks: [block] });
    else if (last === undefined) throw new Error(`${at}: there is no tour that goes on here`);
    else last.blocks.push(block);
  }
  return tours;
}

/** Every fenced block of a Markdown text. Throws when one is never closed. */
export function readFences(text: string): readonly Fence[] {
  const fences: Fence[] = [];
  let open: { line: number; language: string; lines: string[]; above: string } | undefined;
  let above = "";
  for (const [index, content] of text.split("\n").entries()) {
    const fence = /^```(\S*)/.exec(content);
    if (open !== undefined && fence === null) open.lines.push(content);
    else if (open !== undefined) {
      fences.push(open);
      open = undefined;
    } else if (fence !== null) {
      open = { line: index + 1, language: fence[1] ?? "", lines: [], above };
    }
    if (content.trim() !== "") above = content;
  }
  if (open !== undefined) throw new Error(`line ${open.line}: the block is never closed`);
  return fences;
}

function readSteps(fence: Fence, at: string): readonly Step[] {
  const steps: { line: number; command: string; words: readonly string[]; shown: string[] }[] = [];
  for (const [index, content] of fence.lines.entries()) {
    const line = fence.line + 1 + index;
    if (content.startsWith("$ ")) {
      const command = content.slice(2);
      steps.push({ line, command, words: commandWords(command), shown: [] });
    } else {
      const last = steps.at(-1);
      if (last === undefined) throw new Error(`${at}: a tour begins with a command`);
      last.shown.push(content);
    }
  }
  return steps;
}
