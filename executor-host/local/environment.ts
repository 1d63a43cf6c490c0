/** What the processes of the control plane may see of ours: provider keys are the host's alone. */
const NEEDED = [
  "PATH",
  "HOME",
  "TMPDIR",
  "TEMP",
  "TMP",
  "LANG",
  "TZ",
  "SystemRoot",
  "SSL_CERT_FILE",
  "NODE_EXTRA_CA_CERTS",
];

export function controlPlaneEnvironment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(NEEDED.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]]])));
}
