// The plugin of the recordings 06, 07 and 13: its config.json, and what Docker showed of it.

/** As an author writes it: keys in their own spelling, nothing that is empty. */
export const recordedConfigJson = {
  description: "research volume plugin",
  documentation: "none",
  entrypoint: ["/bin/volplug"],
  interface: { types: ["docker.volumedriver/1.0"], socket: "vp.sock" },
  network: { type: "host" },
  propagatedMount: "/mnt/volumes",
  env: [
    { name: "DEBUG", description: "debug", value: "0", settable: ["value"] },
    { name: "FIXED", description: "x", value: "1" },
  ],
  args: {
    name: "args",
    description: "cli args",
    value: ["-scope", "local"],
    settable: ["value"],
  },
  mounts: [
    {
      name: "state",
      source: "/srv/plug/state",
      destination: "/mnt/state",
      type: "bind",
      options: ["rbind", "rw"],
      settable: ["source"],
    },
  ],
  linux: {
    capabilities: ["CAP_SYS_ADMIN"],
    devices: [{ name: "fuse", path: "/dev/fuse", settable: ["path"] }],
  },
};

/** The digest of its layer. */
export const recordedLayer =
  "sha256:d9d8ef149be4436795e1dbf3d79230a14728ca12f56a640cb6b5761186908041";

/** Recording 06: `Config` of `GET /plugins`, without the version of the Docker that packed it. */
export const recordedConfig = {
  Args: {
    Description: "cli args",
    Name: "args",
    Settable: ["value"],
    Value: ["-scope", "local"],
  },
  Description: "research volume plugin",
  Documentation: "none",
  Entrypoint: ["/bin/volplug"],
  Env: [
    { Description: "debug", Name: "DEBUG", Settable: ["value"], Value: "0" },
    { Description: "x", Name: "FIXED", Settable: null, Value: "1" },
  ],
  Interface: { Socket: "vp.sock", Types: ["docker.volumedriver/1.0"] },
  IpcHost: false,
  Linux: {
    AllowAllDevices: false,
    Capabilities: ["CAP_SYS_ADMIN"],
    Devices: [{ Description: "", Name: "fuse", Path: "/dev/fuse", Settable: ["path"] }],
  },
  Mounts: [
    {
      Description: "",
      Destination: "/mnt/state",
      Name: "state",
      Options: ["rbind", "rw"],
      Settable: ["source"],
      Source: "/srv/plug/state",
      Type: "bind",
    },
  ],
  Network: { Type: "host" },
  PidHost: false,
  PropagatedMount: "/mnt/volumes",
  User: {},
  WorkDir: "",
  rootfs: { diff_ids: [recordedLayer], type: "layers" },
};

/** Recording 07: `GET /plugins/privileges` of it. */
export const recordedPrivileges = [
  { name: "network", description: "permissions to access a network", value: ["host"] },
  { name: "mount", description: "host path to mount", value: ["/srv/plug/state"] },
  { name: "device", description: "host device to access", value: ["/dev/fuse"] },
  {
    name: "capabilities",
    description: "list of additional capabilities required",
    value: ["CAP_SYS_ADMIN"],
  },
];

/** Recording 07: `Config` of the smallest one, whose config.json has five keys. */
export const recordedMinimal = {
  json: {
    description: "minimal",
    entrypoint: ["/bin/volplug", "-sock", "/run/docker/plugins/m.sock"],
    interface: { types: ["docker.volumedriver/1.0"], socket: "m.sock" },
    network: { type: "null" },
    propagatedMount: "/mnt/volumes",
  },
  shown: {
    Args: { Description: "", Name: "", Settable: null, Value: null },
    Description: "minimal",
    Documentation: "",
    Entrypoint: ["/bin/volplug", "-sock", "/run/docker/plugins/m.sock"],
    Env: null,
    Interface: { Socket: "m.sock", Types: ["docker.volumedriver/1.0"] },
    IpcHost: false,
    Linux: { AllowAllDevices: false, Capabilities: null, Devices: null },
    Mounts: null,
    Network: { Type: "null" },
    PidHost: false,
    PropagatedMount: "/mnt/volumes",
    User: {},
    WorkDir: "",
  },
};
