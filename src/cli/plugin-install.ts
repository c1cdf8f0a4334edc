// `holdfast plugin install` and `upgrade`: what the plugin wants, the question, the pull.
import { type ApiRequest, compareVersions } from "./client.ts";
import type { Invocation } from "./command.ts";
import { CliFailure, DaemonRefusal } from "./failure.ts";
import { upgradeInPlace } from "./own-plugin.ts";
import {
  type ApiPlugin,
  type ApiPrivilege,
  PLUGIN_SILENCE_MS_MAX,
  parseReference,
  pluginPath,
  type TypedReference,
} from "./plugin-api.ts";
import { progressPrinter } from "./progress-lines.ts";
import { registryHeaders } from "./registry-auth.ts";

const silenceMs = PLUGIN_SILENCE_MS_MAX;

/** What is pulled, and how it was asked for. */
interface Pull {
  /** As it was typed. */
  readonly typed: string;
  readonly remote: TypedReference;
  readonly headers: Readonly<Record<string, string>>;
}

export async function installPlugin(invocation: Invocation): Promise<number> {
  const { options, positional, client, terminal } = invocation;
  const [typed = "", ...words] = positional;
  const name = localName(options.text("alias") ?? "");
  const pull = await preparePull(typed, invocation);
  const privileges = await askPrivileges(pull, invocation);
  const { remote, headers } = pull;
  const query = `name=${encodeURIComponent(name)}&remote=${encodeURIComponent(remote.full)}`;
  const path = `/plugins/pull?${query}`;
  const request: ApiRequest = { method: "POST", path, body: privileges, headers };
  const head = await client.lines(request, await progressPrinter(invocation));
  const installed = head.headers.get("docker-plugin-name") ?? (name || remote.familiar);
  try {
    if (words.length > 0) {
      await client.send({ method: "POST", path: pluginPath(installed, "/set"), body: words });
    }
    if (!options.flag("disable")) {
      const enablePath = pluginPath(installed, "/enable?timeout=0");
      await client.send({ method: "POST", path: enablePath, silenceMs });
    }
  } catch (error) {
    throw error instanceof DaemonRefusal ? leftDisabled(error, installed) : error;
  }
  if (options.flag("json")) await terminal.out(`${JSON.stringify({ Name: installed })}\n`);
  else await terminal.out(`Installed plugin ${typed}\n`);
  return 0;
}

/** Docker leaves it there too, and does not say so. */
function leftDisabled({ status, reason, code }: DaemonRefusal, name: string): DaemonRefusal {
  const recovery =
    `${name} is installed, and disabled. Look at it with plugin inspect and plugin logs, correct ` +
    `it with: holdfast plugin set, then: holdfast plugin enable ${name}; or take it back with: ` +
    `holdfast plugin rm ${name}`;
  return new DaemonRefusal(status, reason, { code, recovery });
}

export async function upgradePlugin(invocation: Invocation): Promise<number> {
  const { options, positional, client, terminal } = invocation;
  const [given = "", remoteGiven] = positional;
  const plugin = await client.json<ApiPlugin>({ method: "GET", path: pluginPath(given, "/json") });
  if (plugin.Enabled && !(await isOurs(invocation))) {
    throw new CliFailure("the plugin must be disabled before upgrading");
  }
  const reference = plugin.PluginReference ?? "";
  const typed = remoteGiven ?? reference;
  const remote = withReason("error parsing remote upgrade image reference", typed);
  const old = withReason("error parsing current image reference", reference);
  const isJson = options.flag("json");
  const from = `from ${old.familiar} to ${remote.familiar}`;
  if (!isJson) await terminal.out(`Upgrading plugin ${plugin.Name} ${from}\n`);
  if (!options.flag("skip-remote-check") && remote.familiar !== old.familiar) {
    const isSure = await confirm("Plugin images do not match, are you sure?", invocation);
    if (!isSure) return 0;
  }
  const pull = await preparePull(typed, invocation);
  const privileges = await askPrivileges(pull, invocation);
  const { headers } = pull;
  const print = await progressPrinter(invocation);
  if (plugin.Enabled) {
    const granted = (privileges ?? []).map(({ Name, Description = "", Value }) => ({
      name: Name,
      description: Description,
      value: Value ?? [],
    }));
    await upgradeInPlace(
      client,
      { name: plugin.Name, remote: remote.full, granted, headers },
      print,
    );
  } else {
    const path = pluginPath(plugin.Name, `/upgrade?remote=${encodeURIComponent(remote.full)}`);
    await client.lines({ method: "POST", path, body: privileges, headers }, print);
  }
  const { Name } = plugin;
  await terminal.out(
    isJson ? `${JSON.stringify({ Name })}\n` : `Upgraded plugin ${Name} to ${typed}\n`,
  );
  return 0;
}

/** Only our daemon can upgrade what runs. */
async function isOurs({ client }: Invocation): Promise<boolean> {
  try {
    await client.send({ method: "GET", path: "/holdfast/v1/health" });
    return true;
  } catch (error) {
    if (error instanceof DaemonRefusal) return false;
    throw error;
  }
}

function localName(alias: string): string {
  if (alias === "") return "";
  const reference = parseReference(alias);
  if (reference.digest !== null) throw new CliFailure(`invalid name: ${alias}`);
  return reference.familiar;
}

function withReason(reason: string, text: string): TypedReference {
  try {
    return parseReference(text);
  } catch (error) {
    if (error instanceof CliFailure) throw new CliFailure(`${reason}: ${error.message}`);
    throw error;
  }
}

async function preparePull(typed: string, { terminal }: Invocation): Promise<Pull> {
  const remote = parseReference(typed);
  return { typed, remote, headers: await registryHeaders(remote.host, terminal) };
}

/** Asks the daemon what the plugin wants, and the user whether it gets that. */
async function askPrivileges(
  { typed, remote, headers }: Pull,
  invocation: Invocation,
): Promise<readonly ApiPrivilege[] | null> {
  const { options, client, terminal } = invocation;
  // What is asked afterwards has a body in which the version matters.
  if (compareVersions(await client.negotiate(), "1.25") < 0) {
    throw new CliFailure("plugins require API version 1.25 of the daemon, which is older");
  }
  const path = `/plugins/privileges?remote=${encodeURIComponent(remote.full)}`;
  const request: ApiRequest = { method: "GET", path, headers, silenceMs };
  const privileges = await client.json<readonly ApiPrivilege[] | null>(request);
  if (options.flag("grant-all-permissions") || (privileges ?? []).length === 0) return privileges;
  const lines = (privileges ?? []).map(
    ({ Name, Value }) => ` - ${shown(Name)}: [${(Value ?? []).map(shown).join(" ")}]\n`,
  );
  const head = `Plugin ${JSON.stringify(typed)} is requesting the following privileges:\n`;
  await terminal.out(`${head}${lines.join("")}`);
  if (await confirm("Do you grant the above permissions?", invocation)) return privileges;
  throw new CliFailure(`permission denied while installing plugin ${remote.full}`);
}

/**
 * What is granted must be what is read: a plugin writes these words, and a terminal would obey
 * some of them. In quotes where they are no plain word.
 */
function shown(text: string): string {
  if (/^[^\p{C}"[\]]*$/u.test(text) && !/^\s|\s$|\s\s|[^\S ]/.test(text)) return text;
  return JSON.stringify(text).replaceAll(/\p{C}/gu, (character) => {
    return `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;
  });
}

async function confirm(question: string, { terminal }: Invocation): Promise<boolean> {
  await terminal.out(`${question} [y/N] `);
  const answer = (await terminal.readLine()) ?? "";
  return answer.trim().toLowerCase() === "y";
}
