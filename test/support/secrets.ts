/** What every control plane of the tests is given, where a test does not want others. */
export const SECRETS = {
  SIGNING_KEY: "signing-key-of-the-tests-4f1d9c7ab2e85036",
  ENCRYPTION_KEY: "encryption-key-of-the-tests-91ce03b7d5aa6f48",
  BOOTSTRAP_TOKEN: "bootstrap-token-of-the-tests-c0b7e1f26d934a58",
};
