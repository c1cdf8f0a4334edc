// `holdfast info`: what the daemon says about itself and its machine.
import type { Invocation } from "./command.ts";
import { listWords, parseFormat, printLine } from "./format.ts";
import { humanBinarySize } from "./human.ts";
import { jsonStruct } from "./json-struct.ts";
import { type OwnVolume, readOwnVolumes } from "./own-volume.ts";

type Fields = Readonly<Record<string, unknown>>;

const infoWords = { ...listWords, parseExit: 64, executePrefix: "" };

function textList(value: unknown): string {
  return Array.isArray(value) ? value.join(" ") : "";
}

function yesNo(value: unknown): string {
  return value === true ? "true" : "false";
}

/** Lines that every engine fills, in Docker's words and order. */
function rowsOf(info: Fields): readonly (readonly [string, string | undefined])[] {
  const text = (name: string): string | undefined => {
    const value = info[name];
    return value === undefined || value === null || value === "" ? undefined : String(value);
  };
  const memoryBytes = info["MemTotal"];
  return [
    ["Server Version", text("ServerVersion")],
    ["Kernel Version", text("KernelVersion")],
    ["Operating System", text("OperatingSystem")],
    ["OSType", text("OSType")],
    ["Architecture", text("Architecture")],
    ["CPUs", text("NCPU")],
    ["Total Memory", typeof memoryBytes === "number" ? humanBinarySize(memoryBytes) : undefined],
    ["Name", text("Name")],
    ["ID", text("ID")],
    ["Root Dir", text("DockerRootDir")],
    ["Debug Mode", yesNo(info["Debug"])],
  ];
}

/** `12 (3 in use, 1 unreachable)`: all of them, and those that are not just idle. */
function countVolumes(volumes: readonly OwnVolume[]): string {
  const counts = new Map<string, number>();
  for (const { state } of volumes) {
    if (state !== "idle") counts.set(state, (counts.get(state) ?? 0) + 1);
  }
  const parts = [...counts].toSorted().map(([state, count]) => `${count} ${state}`);
  return `${volumes.length}${parts.length === 0 ? "" : ` (${parts.join(", ")})`}`;
}

function renderInfo(info: Fields, client: Fields, volumes: readonly OwnVolume[]): string {
  const plugins = (info["Plugins"] ?? {}) as Fields;
  const [version, ...rows] = rowsOf(info);
  const show = ([name, value]: readonly [string, string | undefined]): string =>
    value === undefined ? "" : ` ${name}: ${value}\n`;
  return (
    `Client: Holdfast\n Version:    ${client["Version"]}\n Host:       ${client["Host"]}\n\n` +
    `Server:\n${version ? show(version) : ""}` +
    show(["Volumes", countVolumes(volumes)]) +
    ` Plugins:\n  Volume: ${textList(plugins["Volume"])}\n` +
    `${rows.map(show).join("")}`
  );
}

export async function showInfo(invocation: Invocation): Promise<number> {
  const { options, client, terminal, parts } = invocation;
  const format = options.flag("json") ? "json" : (options.text("format") ?? "");
  const source = format === "json" ? "{{json .}}" : format;
  const template = source === "" ? undefined : parseFormat(source, infoWords);
  const info = await client.json<Fields>({ method: "GET", path: "/info" });
  const own = { Version: await parts.version(), Host: client.target.host };
  if (template) {
    const value = jsonStruct("system.dockerInfo", { ...info, ClientInfo: own });
    await printLine(template, value, { words: infoWords, terminal });
    return 0;
  }
  const volumes = [...(await readOwnVolumes(client)).values()];
  await terminal.out(renderInfo(info, own, volumes));
  const warnings = Array.isArray(info["Warnings"]) ? info["Warnings"] : [];
  await terminal.err(warnings.map((warning) => `${String(warning)}\n`).join(""));
  return 0;
}
