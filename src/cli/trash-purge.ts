// `holdfast trash purge`: asks for each name, or once for all of them; then says what is gone.
import { measuringSilenceMs } from "./client.ts";
import type { Invocation } from "./command.ts";
import { CliFailure } from "./failure.ts";
import { humanSize } from "./human.ts";
import { purgeSentence, purgeSentenceOfAll } from "./origin.ts";
import { ask, badWords, forEach, ownPath, tell } from "./own-client.ts";
import { tellWaiting } from "./purge-wait.ts";
import { isElsewhere, readTrash, type TrashEntry } from "./trash.ts";
import { typedName } from "./typed-name.ts";

/** What is typed where all of it is meant. */
const ALL_WORD = "all";

export async function purgeTrash(invocation: Invocation): Promise<number> {
  const { options, positional } = invocation;
  if (options.flag("all") === positional.length > 0) {
    throw badWords("either entries of the trash or --all is needed");
  }
  return options.flag("all") ? await purgeAll(invocation) : await purgeEach(invocation);
}

async function purgeEach(invocation: Invocation): Promise<number> {
  const { options, positional, client, terminal } = invocation;
  await forEach(positional, async (ref) => {
    const entry = await ask<TrashEntry>(client, { method: "GET", path: ownPath(["trash", ref]) });
    if (!options.flag("yes")) {
      const warning = isElsewhere(entry)
        ? `This removes ${described(entry)}, for good. ${purgeSentence(entry)}`
        : `This destroys ${described(entry)}, for good.`;
      await typedName(terminal, entry.name, { warning, option: "--yes" });
    }
    await purge(invocation, entry, "");
    await tellWaiting(invocation, [entry]);
  });
  return 0;
}

async function purgeAll(invocation: Invocation): Promise<number> {
  const { options, client, terminal } = invocation;
  const all = await readTrash(client);
  const entries = all.filter(({ phase, protection }) => phase === "kept" && protection === null);
  const protectedCount = all.filter(({ protection }) => protection !== null).length;
  if (entries.length > 0 && !options.flag("yes")) {
    const stay = protectedCount > 0 ? ` ${protectedCount} more are protected, and stay.` : "";
    const forEver = entries.filter(({ purgesAt }) => purgesAt === null).length;
    const retained = forEver > 0 ? ` (${forEver} of them kept there until somebody purges)` : "";
    const what = `This destroys ${summed(entries)} in the trash${retained}, for good.${stay}`;
    const elsewhere = entries.filter(isElsewhere);
    const warning = elsewhere.length > 0 ? `${what}\n${purgeSentenceOfAll(elsewhere)}` : what;
    await typedName(terminal, ALL_WORD, { warning, option: "--yes" });
  }
  const byId = new Map(entries.map((entry) => [entry.id, entry]));
  let count = 0;
  await forEach([...byId.keys()], async (id) => {
    const entry = byId.get(id);
    count += 1;
    if (entry !== undefined) await purge(invocation, entry, ` (${count}/${byId.size})`);
  });
  await tellWaiting(invocation, entries);
  return 0;
}

/** On a terminal it says what it waits for; elsewhere one line for each that is done. */
async function purge(invocation: Invocation, entry: TrashEntry, place: string): Promise<void> {
  const { options, client, terminal } = invocation;
  const { id, name, sizeBytes } = entry;
  const wait = options.flag("wait");
  const showsWaiting = wait && !options.flag("json") && (await terminal.isErrTerminal());
  if (showsWaiting) await terminal.err(`destroying ${described(entry)}${place} …`);
  const query = { confirm: name, ...(wait ? { wait: "true" } : {}) };
  const path = ownPath(["trash", id], query);
  const request = { method: "DELETE", path, silenceMs: measuringSilenceMs } as const;
  try {
    await tell(client, request).catch((error: unknown) => {
      throw withWayOfTrash(error, id);
    });
  } finally {
    // Back to the start of the line, and clear it.
    if (showsWaiting) await terminal.err("\r\x1b[K");
  }
  const json = JSON.stringify({ id, name, sizeBytes, [wait ? "destroyed" : "purging"]: true });
  await terminal.out(options.flag("json") ? `${json}\n` : `${id}\n`);
}

/** The general one is about volumes that exist. */
function withWayOfTrash(error: unknown, id: string): unknown {
  if (!(error instanceof CliFailure) || error.code !== "volume.protected") return error;
  const way = `holdfast trash unprotect ${id}`;
  const recovery = `Lift the protection, which wants the name again: ${way}`;
  return new CliFailure(error.message, error.exitCode, { code: error.code, recovery });
}

function described({ id, name, sizeBytes }: TrashEntry): string {
  return `${name} (${id}${sizeBytes === null ? "" : `, ${humanSize(sizeBytes)}`})`;
}

function summed(entries: readonly TrashEntry[]): string {
  const known = entries.flatMap(({ sizeBytes }) => sizeBytes ?? []);
  const bytes = humanSize(known.reduce((sum, size) => sum + size, 0));
  const volumes = `${entries.length} volume${entries.length === 1 ? "" : "s"}`;
  if (known.length === 0) return `${volumes} of unknown size`;
  return `${volumes} with ${known.length === entries.length ? "" : "at least "}${bytes}`;
}
