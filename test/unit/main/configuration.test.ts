import { test } from "uvu";
import * as assert from "uvu/assert";
import { defaultMeshConfig } from "../../../src/api/meshconfig.ts";
import { createCompiler } from "../../../src/compile/compiler.ts";
import { typeUrls } from "../../../src/compile/resources.ts";
import { createHoldings } from "../../../src/main/certificates/holdings.ts";
import { createConfiguration } from "../../../src/main/configuration.ts";
import { readDocuments } from "../../../src/watch/documents.ts";

const pod = `
apiVersion: v1
kind: Pod
metadata: { name: web, namespace: shop, uid: u1 }
spec: { containers: [] }
status: { podIP: 10.0.0.1 }
`;
const proxy = { namespace: "shop", podName: "web", podUid: "u1", serviceAccount: "default" };

test("a proxy that gets no certificate holds nothing of the compiler", async () => {
  const compiler = createCompiler(defaultMeshConfig);
  compiler.apply(readDocuments(pod, "a.yaml"));
  let held = 0;
  const counting = {
    ...compiler,
    attach: (...identity: Parameters<typeof compiler.attach>) => {
      const attached = compiler.attach(...identity);
      if (attached === undefined) return undefined;
      held += 1;
      return {
        ...attached,
        release: () => {
          held -= 1;
          attached.release();
        },
      };
    },
  };
  const configuration = createConfiguration({
    compiler: counting,
    certificates: {
      subscribe: () => Promise.reject(new Error("the certificate authority has expired; supply a new one")),
      trustChanged: () => {},
      reissue: () => {},
    },
    nacked: () => {},
  });
  let message = "";
  await configuration.attach(proxy, new AbortController().signal).catch((error: Error) => {
    message = error.message;
  });
  assert.match(message, /has expired/);
  assert.is(held, 0);
});

test("where SPIRE gives certificates, heddled sends no secrets and counts no holdings", async () => {
  const compiler = createCompiler(defaultMeshConfig);
  compiler.apply(readDocuments(pod, "a.yaml"));
  const holdings = createHoldings();
  const configuration = createConfiguration({ compiler, certificates: undefined, holdings, nacked: () => {} });
  const attached = await configuration.attach(proxy, new AbortController().signal);
  const secrets = attached.layers.flatMap((layer) => [...layer.names(typeUrls.secret)]);
  assert.equal(secrets, []);
  assert.equal(holdings.list(), []);
  attached.release();
});

test.run();
