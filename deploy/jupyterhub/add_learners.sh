#!/bin/sh
# Make an account for each name, and print its password: sh add_learners.sh ada ben
# The home is closed to the other learners; the group lets its members into the hub.
set -eu
getent group course > /dev/null || groupadd course
for name in "$@"; do
    password=$(od -An -N5 -tx1 /dev/urandom | tr -d ' \n')
    useradd --create-home --key HOME_MODE=0700 --shell /bin/bash --groups course "$name"
    echo "$name:$password" | chpasswd
    echo "$name $password"
done
