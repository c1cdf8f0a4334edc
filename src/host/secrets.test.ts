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
  ["key=AQD,keyring=/etc/ring,key_file=/k", "key=****,keyring=/etc/ring,key_file=/k"],
  ["access_key_secret=x,accessKey=y,ro", "access_key_secret=****,accessKey=****,ro"],
  ["ssh_password=x,ro", "ssh_password=****,ro"],
  ["api-token=x,pwd=y,my.passphrase=z", "api-token=****,pwd=****,my.passphrase=****"],
  ["secret_access_key=a/b+c==,ro", "secret_access_key=****,ro"],
  ["username=u%secret,ro", "username=u%****,ro"],
  ["USER=dom/u%se%cret", "USER=dom/u%****"],
  ["//h/x?password=p", "//h/x?password=****"],
  ["//h/x?ro&sig=a&token=b", "//h/x?ro&sig=****"],
  ["https://h/x;auth_token=abc", "https://h/x;auth_token=****"],
  ["https://user:pass@h/x", "https://user:****@h/x"],
  ["https://user:p@ss/word@h/x", "https://user:****@h/x"],
  ["https://:pass@h/x", "https://:****@h/x"],
  ["u:pw@host:/folder", "u:****@host:/folder"],
  ["user@host:/folder", "user@host:/folder"],
  ["mon1:6789,mon2:6789:/", "mon1:6789,mon2:6789:/"],
  ["vers=3.0,sec=krb5,uid=1000", "vers=3.0,sec=krb5,uid=1000"],
  ["//user:pw@host/share", "//user:****@host/share"],
  ["addr=10.0.0.1,rw", "addr=10.0.0.1,rw"],
];
for (const [options, masked] of cases) {
  test(`masks ${options}`, () => expect(maskSecrets(options)).toBe(masked));
}

test("masks a program's words, whether they repeat the option or only its value", () => {
  const options = "user=u,password=hunter2";
  expect(maskSecretsOf([options], "bad option password=hunter2: no")).toBe(
    "bad option password=**** no",
  );
  expect(maskSecretsOf([options], "cannot log in with 'hunter2'")).toBe(
    "cannot log in with '****'",
  );
  expect(maskSecretsOf(["password=a"], "a bad password=a")).toBe("a bad password=****");
});

const echoed: readonly [given: string, words: string, masked: string][] = [
  ["key=AQDxyz==", "cannot use AQDxyz==: no", "cannot use ****: no"],
  ["username=u%hunter2", "user u, password hunter2", "user u, password ****"],
  ["//h/x?password=hunter2&ro=1", "bad password 'hunter2'", "bad password '****'"],
  ["https://u:hunter2@h/x", "login of u with hunter2 failed", "login of u with **** failed"],
  ["token=abcd,password=abcdef", "abcdef abcd", "**** ****"],
];
for (const [given, words, masked] of echoed) {
  test(`masks what ${given} lets a program say`, () => {
    expect(maskSecretsOf(["", given], words)).toBe(masked);
  });
}

test("a hostile text takes no time", () => {
  const texts = ["key", "//a:", "a=", "user=%", "u:", "key=,", 'key="', "%"];
  const startedMs = performance.now();
  for (const text of texts) maskSecrets(text.repeat(16_384 / text.length));
  expect(performance.now() - startedMs).toBeLessThan(1_000);
});
