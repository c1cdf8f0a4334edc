// Docker's JSON of a plugin: as it was recorded, and where little is said.
import { expect, test } from "bun:test";
import { loadExchanges } from "../../../test/docker/recordings.ts";
import { emptyConfig, fullConfig } from "../../../test/support/scripted-plugins.ts";
import type { ManagedPlugin } from "../../core/plugin.ts";
import { pluginJson, privilegesJson } from "./plugin-json.ts";

const digest = "sha256:d9d8ef149be4436795e1dbf3d79230a14728ca12f56a640cb6b5761186908041";

const plugin: ManagedPlugin = {
  id: "05463a8148422ca5bfe355dcfa531b2faa12e6d837c2838ba32164a44441c27d",
  name: "127.0.0.1:5000/vp:v1",
  isEnabled: false,
  reference: "",
  config: { ...fullConfig, rootfs: { type: "layers", diffIds: [digest] } },
  settings: {
    mounts: fullConfig.mounts ?? [],
    env: ["DEBUG=0", "FIXED=1"],
    args: ["-scope", "local"],
    devices: fullConfig.linux.devices ?? [],
  },
  previous: null,
  digest: "",
  installedAtMs: 0,
};

/** The recorded bytes: the recorder decodes JSON and keeps the order of its keys. */
function recorded(path: string): string {
  const exchange = loadExchanges("06").find(({ request }) => request.path === path);
  return exchange?.answer.body.trim() ?? "none";
}

test("a plugin is what dockerd answers, byte by byte", () => {
  expect(pluginJson(plugin)).toBe(recorded("/v1.41/plugins/127.0.0.1:5000/vp:v1/json"));
});

test("what a config does not say is null, or left out where Go leaves it out", () => {
  const settings = { mounts: [], env: [], args: [], devices: [] };
  const json = pluginJson({ ...plugin, config: emptyConfig, settings });
  expect(JSON.parse(json)).toEqual({
    Config: {
      Args: { Description: "", Name: "", Settable: null, Value: null },
      Description: "minimal",
      Documentation: "",
      Entrypoint: null,
      Env: null,
      Interface: { Socket: "", Types: null },
      IpcHost: false,
      Linux: { AllowAllDevices: false, Capabilities: null, Devices: null },
      Mounts: null,
      Network: { Type: "null" },
      PidHost: false,
      PropagatedMount: "",
      User: {},
      WorkDir: "",
    },
    Enabled: false,
    Id: plugin.id,
    Name: plugin.name,
    PluginReference: plugin.name,
    Settings: { Args: [], Devices: [], Env: [], Mounts: [] },
  });
});

test("a user, a protocol and a reference are shown where there are any", () => {
  const config = {
    ...emptyConfig,
    user: { uid: 0, gid: 5 },
    interface: { ...emptyConfig.interface, protocolScheme: "moby.plugins.http/v1" },
  };
  const json = pluginJson({ ...plugin, config, reference: "r/vp:v2" });
  expect(json).toContain('"User":{"GID":5}');
  expect(json).toContain('"Interface":{"ProtocolScheme":"moby.plugins.http/v1","Socket":""');
  expect(json).toContain('"PluginReference":"r/vp:v2"');
});

test("privileges have Docker's order of keys; none are null", () => {
  expect(privilegesJson([])).toBe("null");
  expect(privilegesJson([{ name: "network", description: "d", value: ["host"] }])).toBe(
    '[{"Name":"network","Description":"d","Value":["host"]}]',
  );
});
