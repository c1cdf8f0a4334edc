// `holdfast version`: of this program and of the daemon it talks to.
import { apiVersionNewest } from "./client.ts";
import type { Invocation } from "./command.ts";
import { CliFailure } from "./failure.ts";
import { listWords, parseFormat, printLine } from "./format.ts";
import { jsonStruct } from "./json-struct.ts";
import { GoNilPointer, GoStruct, type GoValue } from "./template/values.ts";

type Fields = Readonly<Record<string, unknown>>;

const versionWords = {
  ...listWords,
  parseExit: 64,
  executePrefix: "",
  name: "version",
};

/** Docker's name for the architecture of this machine. */
export function architecture(): string {
  return process.arch === "x64" ? "amd64" : process.arch;
}

function clientVersion(version: string): Fields {
  return {
    Version: version,
    ApiVersion: apiVersionNewest,
    DefaultAPIVersion: apiVersionNewest,
    Runtime: `bun ${Bun.version}`,
    Os: "linux",
    Arch: architecture(),
  };
}

function line(name: string, value: unknown, indent: string, width: number): string {
  return `${indent}${`${name}:`.padEnd(width)}${String(value ?? "")}\n`;
}

function renderClient(client: Fields): string {
  const rows: readonly (readonly [string, unknown])[] = [
    ["Version", client["Version"]],
    ["API version", client["ApiVersion"]],
    ["Runtime", client["Runtime"]],
    ["OS/Arch", `${client["Os"]}/${client["Arch"]}`],
  ];
  return `Client: Holdfast\n${rows.map(([name, value]) => line(name, value, " ", 19)).join("")}`;
}

function renderServer(server: Fields): string {
  const platform = (server["Platform"] as { readonly Name?: string } | undefined)?.Name ?? "";
  const api = `${server["ApiVersion"]} (minimum version ${server["MinAPIVersion"]})`;
  const rows: readonly (readonly [string, unknown])[] = [
    ["Version", server["Version"]],
    ["API version", api],
    ["Runtime", server["GoVersion"]],
    ["Git commit", server["GitCommit"]],
    ["Built", server["BuildTime"]],
    ["OS/Arch", `${server["Os"]}/${server["Arch"]}`],
    ["Kernel", server["KernelVersion"]],
  ];
  const shown = rows.filter(([, value]) => value !== undefined && value !== "");
  const text = shown.map(([name, value]) => line(name, value, "  ", 18)).join("");
  return `\nServer:${platform === "" ? "" : ` ${platform}`}\n Engine:\n${text}`;
}

export async function showVersion(invocation: Invocation): Promise<number> {
  const { options, client, terminal, parts } = invocation;
  const format = options.flag("json") ? "json" : (options.text("format") ?? "");
  const source = format === "json" ? "{{json .}}" : format;
  const template = source === "" ? undefined : parseFormat(source, versionWords);
  const own = clientVersion(await parts.version());
  let server: Fields | undefined;
  let failure: CliFailure | undefined;
  try {
    server = await client.json<Fields>({ method: "GET", path: "/version" });
  } catch (error) {
    // The client's part is known without the daemon; it is shown before the failure.
    if (!(error instanceof CliFailure)) throw error;
    failure = error;
  }
  if (template) {
    const fields: readonly (readonly [string, GoValue])[] = [
      ["Client", jsonStruct("system.clientVersion", own)],
      [
        "Server",
        server ? jsonStruct("*types.Version", server) : new GoNilPointer("*types.Version"),
      ],
    ];
    const value = new GoStruct("system.versionInfo", new Map(fields));
    await printLine(template, value, { words: versionWords, terminal });
  } else await terminal.out(renderClient(own) + (server ? renderServer(server) : ""));
  if (failure) throw failure;
  return 0;
}
