# A phone: Debian's adbd in namespaces of its own, over a read-only root. Run by unshare.
#   phone.sh ROOT FOLDER SIZE    FOLDER/bin becomes its programs, /sdcard holds SIZE bytes
# It is an unauthenticated root shell: it hears its own loopback only, and ends with this process.
set -e
root=$1 folder=$2 size=$3 phone=$2/phone
ip link set lo up
mkdir -p "$folder/layers" "$phone"
mount -t tmpfs layers "$folder/layers"
mkdir "$folder/layers/upper" "$folder/layers/work"
mount -t overlay phone "$phone" \
    -o "lowerdir=$root,upperdir=$folder/layers/upper,workdir=$folder/layers/work"
mkdir -p "$phone/dev" "$phone/proc" "$phone/sdcard" "$phone/host" "$phone/data/local/tmp"
mount -t tmpfs -o "size=$size" sdcard "$phone/sdcard"
mount --rbind /dev "$phone/dev"
mount -t proc proc "$phone/proc"
ln -sf bash "$phone/usr/bin/sh"
cp "$folder"/bin/* "$phone/usr/bin"
echo "$phone" > "$phone/etc/phone"
mount --rbind / "$phone/host"  # where the app's part runs
exec chroot "$phone" /usr/sbin/adbd
