// `holdfast volume publish`: a directory takes the place of a tree in a volume, in one step.
import { measuringSilenceMs } from "./client.ts";
import type { Invocation } from "./command.ts";
import { humanSize } from "./human.ts";
import { ask, badWords, ownPath } from "./own-client.ts";
import type { TarEntryHead } from "./tar-writer.ts";
import type { Terminal } from "./terminal.ts";
import { withNotice } from "./wait-notice.ts";

/** How often a terminal is told how far it is, in milliseconds. */
const TELL_MS = 200;

/** The contract's answer (src/api/holdfast/publish-contract.ts). */
interface Published {
  readonly volume: string;
  readonly path: string;
  readonly guarantee: string;
  readonly tookMs: number;
  readonly kept: number;
  readonly tree: {
    readonly files: number;
    readonly bytes: number;
    readonly leftOut: readonly string[];
  } | null;
}

/** `assets:/www`. */
interface Target {
  readonly volume: string;
  readonly path: string;
}

export async function publishTree(invocation: Invocation): Promise<number> {
  const { options, positional } = invocation;
  const isBack = options.flag("rollback");
  if (isBack !== (positional.length === 1)) {
    throw badWords(
      isBack
        ? "--rollback takes VOLUME:/PATH alone"
        : "what is published is missing: DIR VOLUME:/PATH, or - for a tar on standard input",
    );
  }
  const target = parseTarget(positional.at(-1) ?? "");
  return isBack ? await rollBack(invocation, target) : await publish(invocation, target);
}

async function publish(invocation: Invocation, target: Target): Promise<number> {
  const { options, positional, client, terminal } = invocation;
  const [source = ""] = positional;
  const query = { ...gapOf(invocation), path: target.path };
  const keep = options.text("keep");
  const owner = options.text("owner");
  const path = ownPath(["volumes", target.volume, "publish"], {
    ...query,
    ...(keep === undefined ? {} : { keep }),
    ...(owner === undefined ? {} : { owner }),
  });
  const startedMs = terminal.nowMs();
  const chunks = await shownTo(terminal, await chunksOf(source));
  let done: Published;
  try {
    done = await ask<Published>(client, {
      ...{ method: "PUT", path, silenceMs: measuringSilenceMs },
      upload: { contentType: "application/x-tar", chunks },
    });
  } finally {
    await clearLine(terminal);
  }
  if (options.flag("json")) await terminal.out(`${JSON.stringify(done)}\n`);
  else await terminal.out(publishedText(source, done, terminal.nowMs() - startedMs));
  return 0;
}

async function rollBack(invocation: Invocation, { volume, path }: Target): Promise<number> {
  const { options, client, terminal } = invocation;
  const asking = ask<Published>(client, {
    method: "POST",
    path: ownPath(["volumes", volume, "publish", "rollback"], { ...gapOf(invocation), path }),
    silenceMs: measuringSilenceMs,
  });
  const done = await withNotice(terminal, `rolling ${volume}:${path} back …`, asking);
  if (options.flag("json")) await terminal.out(`${JSON.stringify(done)}\n`);
  else {
    const lines = [
      `rolled ${done.volume}:${done.path} back to the tree before`,
      done.guarantee,
      `once more undoes it: holdfast volume publish --rollback ${done.volume}:${done.path}`,
    ];
    await terminal.out(`${lines.join("\n")}\n`);
  }
  return 0;
}

function gapOf({ options }: Pick<Invocation, "options">): Readonly<Record<string, string>> {
  return options.flag("allow-gap") ? { allowGap: "true" } : {};
}

function parseTarget(text: string): Target {
  const colon = text.indexOf(":");
  const [volume, path] = [text.slice(0, colon), text.slice(colon + 1)];
  if (colon > 0 && path.startsWith("/")) return { volume, path };
  throw badWords(`${JSON.stringify(text)} is no VOLUME:/PATH, as in assets:/www`);
}

/** What is sent, and how much of it was. */
interface Sending {
  readonly chunks: AsyncIterable<Uint8Array>;
  /** undefined: a tar that is handed on. */
  readonly fileCount?: () => number;
}

async function chunksOf(source: string): Promise<Sending> {
  if (source === "-") return { chunks: Bun.stdin.stream() };
  const { statSync } = await import("node:fs");
  const { directoryTar, looked, refuseSpecialFiles } = await import("./directory-tar.ts");
  const status = looked("stat", source, () => statSync(source));
  if (!status.isDirectory()) throw badWords(`${source} is no directory`);
  // The storage would refuse it too, after all that comes before it was sent.
  refuseSpecialFiles(`${source}/`, (what, name) =>
    badWords(`${name}: ${what} is not published; nothing of ${source} was sent`),
  );
  let files = 0;
  const sent = ({ type }: TarEntryHead) => {
    if (type === "file" || type === "link") files += 1;
  };
  // With a slash: a symbolic link to a directory is followed.
  return {
    chunks: directoryTar(`${source}/`, { hasRoot: true, sent }),
    fileCount: () => files,
  };
}

/** On a terminal: says what was sent by now, over and over in one line. */
async function shownTo(
  terminal: Terminal,
  { chunks, fileCount }: Sending,
): Promise<AsyncIterable<Uint8Array>> {
  if (!(await terminal.isErrTerminal())) return chunks;
  return (async function* () {
    let bytes = 0;
    let toldMs = terminal.nowMs();
    for await (const chunk of chunks) {
      yield chunk;
      bytes += chunk.length;
      if (terminal.nowMs() - toldMs < TELL_MS) continue;
      toldMs = terminal.nowMs();
      const files = fileCount === undefined ? "" : `${counted(fileCount())}, `;
      await terminal.err(`\r\x1b[Ksent ${files}${humanSize(bytes)} …`);
    }
    await terminal.err("\r\x1b[Kwaiting for the storage …");
  })();
}

async function clearLine(terminal: Terminal): Promise<void> {
  if (await terminal.isErrTerminal()) await terminal.err("\r\x1b[K");
}

function publishedText(source: string, done: Published, tookMs: number): string {
  const { volume, path, guarantee, kept, tree } = done;
  const what = source === "-" ? "the archive" : source;
  const size = tree === null ? "" : ` (${counted(tree.files)}, ${humanSize(tree.bytes)})`;
  const seconds = (tookMs / 1_000).toFixed(1);
  const missing = tree?.leftOut ?? [];
  return [
    `published ${what} to ${volume}:${path}${size} in ${seconds} s`,
    guarantee,
    ...(missing.length > 0 ? [`its storage does not keep: ${missing.join(", ")}`] : []),
    ...(kept > 0
      ? [`the tree before is kept: holdfast volume publish --rollback ${volume}:${path}`]
      : []),
    "",
  ].join("\n");
}

function counted(files: number): string {
  return files === 1 ? "1 file" : `${files.toLocaleString("en-US")} files`;
}
