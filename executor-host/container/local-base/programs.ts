/** What a local base image holds, by the names under which every Linux system has it. */

/** Where a system keeps its own programs. Not the user's PATH: what a version manager puts there leads into a home. */
export const programDirs = ["/usr/bin", "/bin", "/usr/sbin", "/sbin", "/usr/local/bin"];

/** Without these there is no shell worth having. */
export const neededPrograms = words(`
  bash sh
  cat chmod cp cut date dirname basename echo env expr false head id ln ls mkdir mktemp mv pwd readlink rm rmdir sleep
  sort stat tail tee test touch tr true uname uniq wc
  grep sed find xargs
`);

/** What an agent uses too and a system may lack; the first group's absence is worth a word. */
export const expectedPrograms = words("git awk diff tar gzip rg");

export const otherPrograms = words(`
  [ arch b2sum base32 base64 chgrp chown cksum comm csplit dd df dir dircolors du expand factor fmt fold groups hostid
  install join link logname md5sum mkfifo mknod nice nl nohup nproc numfmt od paste pathchk pinky pr printenv printf ptx
  realpath seq sha1sum sha224sum sha256sum sha384sum sha512sum shred shuf split stdbuf stty sum sync tac timeout truncate
  tsort tty unexpand unlink users vdir who whoami yes
  egrep fgrep gawk mawk cmp diff3 sdiff patch gunzip zcat bzip2 bunzip2 xz unxz zstd zip unzip
  getconf getent locale hostname less more file jq ps pgrep pkill kill free uptime which tree column flock getopt hexdump
  rev setsid curl openssl
`);

/** Folders of git that are not its programs. */
export const gitFolders = ["/usr/share/git-core/templates"];

/** Programs of git that serve others, mail, or ask for a display: nothing a sealed worker can do. */
export const uselessGit =
  /^(git-(http-backend|daemon|imap-send|shell|gui.*|citool|instaweb|send-email|cvs.*|svn|p4|archimport)|mergetools|Git)$/;

/**
 * Data that programs look for at a fixed place; most systems have some of them. Of the certificates the public bundle
 * alone: what lies beside it may be a private key.
 */
export const dataPaths = [
  ...["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem"],
  ...["/etc/ssl/cert.pem", "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem"],
  ...["/usr/lib/ssl/certs", "/usr/lib/ssl/cert.pem"],
  // The loader's list of folders beyond its own, and what says which system this was.
  ...["/etc/ld.so.cache", "/etc/os-release"],
  ...["/usr/share/misc/magic.mgc", "/usr/lib/file/magic.mgc"],
];

export const dataFolders = [
  ...["/usr/lib/locale/C.utf8", "/usr/lib/locale/C.UTF-8"],
  ...["/lib/terminfo/d", "/lib/terminfo/l", "/lib/terminfo/x", "/usr/share/terminfo/x"],
];

/** Links by which a system has merged its folders, and names that scripts rely on. */
export const rootNames = ["/bin", "/sbin", "/lib", "/lib64", "/bin/sh", "/bin/bash", "/usr/bin/env"];

/**
 * Libraries that are asked for by name while a program runs, or by the agent CLIs, which are not there yet: glibc's own
 * parts (one file since 2.34, the names are still asked for) and the compiler's.
 */
export const libraryNames = words(`
  libc.so.6 libm.so.6 libdl.so.2 libpthread.so.0 librt.so.1 libutil.so.1 libresolv.so.2 libnss_files.so.2 libnss_dns.so.2
  libgcc_s.so.1 libstdc++.so.6 libatomic.so.1
`);

function words(text: string): string[] {
  return text.trim().split(/\s+/);
}
