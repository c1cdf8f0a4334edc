// No password leaves through a message.
import { expect, test } from "bun:test";
import { maskSecrets, maskSecretsOf } from "./secrets.ts";

const cases: readonly [options: string, masked: string][] = [
  ["username=u,password=hunter2,vers=3.0", "username=u,password=****,vers=3.0"],
  ["password=hunter2", "password=****"],
  ["pass=a,passwd=b,password2=c,secret=d", "pass=****,passwd=****,password2=****,secret=****"],
  ["PassWord=x", "PassWord=****"],
  ["password=a b=c,ro", "password=****,ro"],
  ['password="a,b",ro', "password=****,ro"],
  ["password=,ro", "password=****,ro"],
  ["ro,password=$&$1", "ro,password=****"],
  ["credentials=/etc/smb.cred,ro", "credentials=/etc/smb.cred,ro"],
  ["secretfile=/etc/ceph.secret,name=x", "secretfile=/etc/ceph.secret,name=x"],
  ["bypass=1,compass=2", "bypass=1,compass=2"],
  ["//user:pw@host/share", "//user:****@host/share"],
  ["addr=10.0.0.1,rw", "addr=10.0.0.1,rw"],
];
for (const [options, masked] of cases) {
  test(`masks ${options}`, () => expect(maskSecrets(options)).toBe(masked));
}

test("masks a program's words, whether they repeat the option or only its value", () => {
  const options = "user=u,password=hunter2";
  expect(maskSecretsOf(options, "bad option password=hunter2: no")).toBe(
    "bad option password=**** no",
  );
  expect(maskSecretsOf(options, "cannot log in with 'hunter2'")).toBe("cannot log in with '****'");
  expect(maskSecretsOf("password=a", "a bad password=a")).toBe("a bad password=****");
});
