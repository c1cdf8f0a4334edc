// A volume as Docker's `--format` sees it: the row of a list, and the struct of inspect.
import { humanSize } from "./human.ts";
import {
  fromJson,
  GoMap,
  type GoMethod,
  GoNilPointer,
  GoStruct,
  type GoValue,
  printValue,
  rowStruct,
  stringMap,
} from "./template/values.ts";
import type { ApiVolume } from "./volume.ts";
import { volumeObject } from "./volume-object.ts";

/** Headers of the columns of `volume ls` and of the volumes of `df -v`. */
export const volumeHeaders: Readonly<Record<string, string>> = {
  Name: "VOLUME NAME",
  Driver: "DRIVER",
  Scope: "SCOPE",
  Availability: "AVAILABILITY",
  Mountpoint: "MOUNTPOINT",
  Labels: "LABELS",
  Links: "LINKS",
  Size: "SIZE",
  Group: "GROUP",
  Status: "STATUS",
};

const notKnown = "N/A";

function joinLabels(labels: ApiVolume["Labels"]): string {
  const pairs = Object.entries(labels ?? {}).map(([key, value]) => `${key}=${value}`);
  return pairs.sort().join(",");
}

/** One row: text in every field, `N/A` for what is not known. */
export function volumeRow(volume: ApiVolume): GoStruct {
  const usage = volume.UsageData;
  const texts: Readonly<Record<string, string>> = {
    Availability: notKnown,
    Driver: volume.Driver,
    Group: notKnown,
    Labels: joinLabels(volume.Labels),
    Links: usage ? String(usage.RefCount) : notKnown,
    Mountpoint: volume.Mountpoint,
    Name: volume.Name,
    Scope: volume.Scope,
    // Docker would print the -1 that stands for "not known".
    Size: usage && usage.Size >= 0 ? humanSize(usage.Size) : notKnown,
    Status: notKnown,
  };
  const label: GoMethod = {
    parameterCount: 1,
    call: ([key = ""]) => volume.Labels?.[key] ?? "",
  };
  return rowStruct("*formatter.volumeContext", texts, {
    methods: new Map([["Label", label]]),
    printed: `{{<nil>} ${printValue(volumeStruct(volume))}}`,
  });
}

function statusMap(volume: ApiVolume): GoMap {
  const status = fromJson(volume.Status ?? {});
  return status instanceof GoMap ? status : new GoMap("map[string]interface {}", new Map());
}

/** The struct that `inspect --format` works on. */
export function volumeStruct(volume: ApiVolume): GoStruct {
  const { UsageData: usage } = volume;
  const cluster = volume.ClusterVolume
    ? fromJson(volume.ClusterVolume)
    : new GoNilPointer("*volume.ClusterVolume");
  const usageData = usage
    ? new GoStruct(
        "*volume.UsageData",
        new Map([
          ["RefCount", BigInt(usage.RefCount)],
          ["Size", BigInt(usage.Size)],
        ]),
      )
    : new GoNilPointer("*volume.UsageData");
  const fields: readonly (readonly [string, GoValue])[] = [
    ["ClusterVolume", cluster],
    ["CreatedAt", volume.CreatedAt ?? ""],
    ["Driver", volume.Driver],
    ["Labels", stringMap(volume.Labels)],
    ["Mountpoint", volume.Mountpoint],
    ["Name", volume.Name],
    ["Options", stringMap(volume.Options)],
    ["Scope", volume.Scope],
    ["Status", statusMap(volume)],
    ["UsageData", usageData],
  ];
  return new GoStruct("volume.Volume", new Map(fields), {
    json: () => JSON.stringify(volumeObject(volume)),
  });
}
