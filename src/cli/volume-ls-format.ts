// `holdfast volume ls` with --format, --cluster or --json.
import { renderRows } from "./format.ts";
import type { Options } from "./options.ts";
import type { ApiVolume } from "./volume.ts";
import { volumeObject } from "./volume-object.ts";
import { volumeHeaders, volumeRow } from "./volume-template.ts";

const clusterFormat =
  "table {{.Name}}\\t{{.Group}}\\t{{.Driver}}\\t{{.Availability}}\\t{{.Status}}";

function formatOf(options: Options): string {
  const format = options.text("format") ?? "";
  const isQuiet = options.flag("quiet");
  if (format === "" && options.flag("cluster") && !isQuiet) return clusterFormat;
  if (format === "" || format === "table") {
    return isQuiet ? "{{.Name}}" : "table {{.Driver}}\\t{{.Name}}";
  }
  if (format === "raw")
    return isQuiet ? "name: {{.Name}}" : "name: {{.Name}}\\ndriver: {{.Driver}}\\n";
  return format;
}

/** The whole output, for volumes that are sorted already. */
export function renderVolumes(volumes: readonly ApiVolume[], options: Options): string {
  if (options.flag("json")) {
    return volumes.map((volume) => `${JSON.stringify(volumeObject(volume))}\n`).join("");
  }
  const shown = options.flag("cluster")
    ? volumes.filter((volume) => volume.ClusterVolume)
    : volumes;
  return renderRows(shown.map(volumeRow), { format: formatOf(options), headers: volumeHeaders });
}
