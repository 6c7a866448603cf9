#!/bin/sh
# Runs COMMAND in the file system of an image as `docker run --read-only --network none --cap-drop ALL` does, as root
# without a Docker engine, in name spaces of its own:
#   unshare --mount --net --ipc --pid --fork sh in_image.sh ROOT OUT USER:GROUP NAME=VALUE... COMMAND...
# ROOT is read-only, its /tmp a new memory file system, OUT its /work. NAME=VALUE is all of the environment.
set -eu
root=${1:?} out=${2:?} user=${3%:*} group=${3#*:}
shift 3
mount --make-rprivate /
mount --bind "$root" "$root"
mount --bind "$out" "$root/work"
mount -t tmpfs -o size=2g,mode=1777,nosuid,nodev tmpfs "$root/tmp"
mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
mount -t tmpfs -o mode=755,nosuid tmpfs "$root/dev"
mkdir -m 1777 "$root/dev/shm"
for device in null zero full random urandom; do
  : > "$root/dev/$device"
  mount --bind "/dev/$device" "$root/dev/$device"
done
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$root/dev/shm"
mount -o remount,bind,ro "$root"
mount -o remount,ro,nosuid,mode=755 "$root/dev"
exec chroot "$root" setpriv --reuid="$user" --regid="$group" --clear-groups --no-new-privs \
  --inh-caps=-all --ambient-caps=-all --bounding-set=-all \
  env -i -C /work "$@"
