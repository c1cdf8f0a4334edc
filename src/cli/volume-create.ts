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
  const volume = await client.json<ApiVolume>({
    method: "POST",
    path: "/volumes/create",
    body: {
      ClusterVolumeSpec: spec,
      Driver: options.text("driver") || undefined,
      DriverOpts: keyValues(options.all("opt")),
      Labels: keyValues(options.all("label")),
      Name: name || undefined,
    },
  });
  await terminal.out(`${options.flag("json") ? JSON.stringify(volume) : volume.Name}\n`);
  return 0;
}
