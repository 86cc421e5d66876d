#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# `devserve inspect` as it is called; what it can say is t/unit/image/inspect.c's matter.

use strict;
use warnings;
use Cwd 'abs_path';
use File::Temp 'tempdir';
use JSON::PP 'decode_json';
use Test::More;

my $devserve = abs_path(($ENV{DEVSERVE_BUILD} || 'build') . '/devserve');
plan skip_all => 'no devserve here; run make' unless $devserve && -x $devserve;

my $directory = tempdir(CLEANUP => 1);
my $image = "$directory/simple.so";
my $cc = $ENV{CC} || 'cc';

# Runs none of the image's code: one that runs would leave a file.
open my $source, '>', "$directory/spy.c" or die;
print $source qq(#include <fcntl.h>\n__attribute__((constructor)) static void spy(void)
	{ (void)!open("$directory/ran", O_CREAT | O_RDWR, 0600); }\n);
close $source;
is(system("$cc -std=c11 -D_GNU_SOURCE -Iinclude -fPIC -shared -fvisibility=hidden -o $image "
	. "plugins/simple/simple.c $directory/spy.c"), 0, 'an image is built');

my $page = qx($devserve inspect $image 2>$directory/err);
is($?, 0, 'it is inspected');
like($page, qr/^inputs +INPUT0 +INT32 +\[batch, 16\]$/m, 'the page shows a tensor');
like($page, qr/^batch +up to 8\b/m, 'and the batch');

my $object = eval { decode_json(qx($devserve inspect --json $image)) };
is($?, 0, 'as JSON too');
is($object->{max_batch_size}, 8, 'which says the same');
is_deeply($object->{outputs}[1], { name => 'OUTPUT1', datatype => 'INT32', shape => [16] }, 'tensor by tensor');
ok(!-e "$directory/ran", 'and no code of it has run');

my $said = qx($devserve inspect plugins/simple/simple.c 2>&1);
is($? >> 8, 1, 'what is no image is a failure');
is($said, "devserve: plugins/simple/simple.c: this is not an ELF file; an image is made by cc -shared\n",
   'with a sentence');
$said = qx($devserve inspect $directory/none.so 2>&1);
is($? >> 8, 1, 'a missing file is a failure');
is($said, "devserve: $directory/none.so: No such file or directory\n", 'with the reason');
for ('', '--nonsense', "$image $image") {
	system("$devserve inspect $_ >$directory/out 2>&1");
	is($? >> 8, 2, "inspect $_: a usage error");
}

done_testing();
