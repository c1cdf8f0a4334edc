// `holdfast volume create`.
import type { Invocation } from "./command.ts";
import { CliFailure } from "./failure.ts";
import type { Options } from "./options.ts";
import { type ApiVolume, keyValues } from "./volume.ts";

const clusterOptions = [
  "availability",
  "group",
  "limit-bytes",
  "required-bytes",
  "scope",
  "secret",
  "sharing",
  "topology-preferred",
  "topology-required",
  "type",
];

function chooseName(options: Options, positional: readonly string[]): string | undefined {
  const named = options.text("name") ?? "";
  const [argument] = positional;
  if (argument !== undefined && named !== "") {
    throw new CliFailure(
      "conflicting options: cannot specify a volume-name " +
        "through both --name and as a positional arg",
    );
  }
  return argument ?? named;
}

export async function createVolume(invocation: Invocation): Promise<number> {
  const { options, positional, client, terminal } = invocation;
  const name = chooseName(options, positional);
  const isCluster = clusterOptions.some((option) => options.isGiven(option));
  const spec = isCluster ? (await import("./rarely.ts")).rarely.clusterSpec(options) : undefined;
  const driver = options.text("driver") || undefined;
  const driverOptions = keyValues(options.all("opt"));
  const create = () =>
    client.json<ApiVolume>({
      method: "POST",
      path: "/volumes/create",
      body: {
        ClusterVolumeSpec: spec,
        Driver: driver,
        DriverOpts: driverOptions,
        Labels: keyValues(options.all("label")),
        Name: name || undefined,
      },
    });
  const volume = await (driver === undefined ? create() : waitFor(create, driver, terminal));
  await terminal.out(`${options.flag("json") ? JSON.stringify(volume) : volume.Name}\n`);
  if (await terminal.isErrTerminal()) {
    const line = await tellOf(volume, driverOptions, client);
    if (line !== undefined) await terminal.err(`${line}\n`);
  }
  return 0;
}

/** For people: what it has come to, where the name alone does not say it. */
async function tellOf(
  volume: ApiVolume,
  asked: Readonly<Record<string, string>> | undefined,
  client: Invocation["client"],
): Promise<string | undefined> {
  if (differs(asked, volume)) {
    return (
      `${volume.Name} was there already, with other options: they stay as they are. ` +
      "Change them with: holdfast volume update -o …"
    );
  }
  if (volume.Driver === "local") return undefined;
  return await (await import("./rarely.ts")).rarely.createdLine(volume.Name, client);
}

/** A server may be asked, and may be slow. */
async function waitFor<Result>(
  create: () => Promise<Result>,
  driver: string,
  terminal: Invocation["terminal"],
): Promise<Result> {
  if (driver === "local" || !(await terminal.isErrTerminal())) return await create();
  const { withNotice } = (await import("./rarely.ts")).rarely;
  return await withNotice(terminal, `waiting for ${driver} and its storage …`, create());
}

/** Docker answers a create of what is there already with what is there, whatever was asked for. */
function differs(asked: Readonly<Record<string, string>> = {}, { Options }: ApiVolume): boolean {
  return Object.entries(asked).some(([key, value]) => Options?.[key] !== value);
}
