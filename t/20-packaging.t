#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# The tarball that `make dist` packs: it needs no git, and what is built from it is the same to
# the last byte whoever builds it, where and when.

use strict;
use warnings;
use Cwd;
use Digest::SHA;
use File::Temp qw(tempdir);
use Test::More;

my $build = $ENV{DEVSERVE_BUILD} // getcwd() . '/build';
my $place = tempdir(CLEANUP => 1);
my @programs = map { "devserve$_" } '', qw(-worker -watch -debug -cuda);

# With what it printed where it failed.
sub sh {
	my ($line) = @_;
	my $said = qx({ $line ; } 2>&1 </dev/null);

	diag("$line\n$said") if $?;
	return $? == 0;
}

sub sum {
	my ($file) = @_;

	return -e $file ? Digest::SHA->new(256)->addfile($file)->hexdigest : "no $file";
}

sub unpack_to {
	my ($directory) = @_;

	return sh("mkdir -p '$directory' && tar -xf '$place/one.tar.gz' -C '$directory' --strip-components=1");
}

delete $ENV{SOURCE_DATE_EPOCH};
ok(sh("make -s dist && cp '$build'/devserve-*.tar.gz '$place/one.tar.gz'"), 'make dist');
my @names = split /\n/, qx(tar -tf '$place/one.tar.gz');
is_deeply([grep { !m{^devserve-\d+\.\d+\.\d+/} } @names], [], 'it unpacks into a directory of its own');
is_deeply([grep { m{^[^/]+/(\.git|build[^/]*)/|/(\.devserve|__pycache__)/} } @names], [], 'with sources only');
is_deeply([grep { !/ 0\/0 / } split /\n/, qx(tar --numeric-owner -tvf '$place/one.tar.gz')], [], 'that nobody owns');

my ($a, $b) = ("$place/a", "$place/a longer way/to b");
$b =~ tr/ /-/; # make has no words with spaces
ok(unpack_to($a) && unpack_to($b), 'it unpacks');
ok(sh("cd '$a' && make -s dist BUILD=build && cp build/devserve-*.tar.gz '$place/two.tar.gz'"), 'it packs itself');
is(sum("$place/two.tar.gz"), sum("$place/one.tar.gz"), 'and is the same then');

SKIP: {
	skip 'a build for a sanitizer is nobody\'s release', 3 + @programs if $ENV{DEVSERVE_SANITIZE};
	ok(sh("cd '$a' && make -s lint"), 'its tests of the tree pass without git');
	ok(sh("cd '$a' && make -s BUILD=build"), 'it builds');
	ok(sh("cd '$b' && find . -exec touch -h -d '2001-02-03 04:05:06' {} + && umask 077 && "
		. 'env HOME=/ USER=somebody TZ=Asia/Tokyo LC_ALL=C.UTF-8 make -s BUILD=build'),
		'and elsewhere, at another time, by somebody else');
	is(sum("$b/build/$_"), sum("$a/build/$_"), "$_ is the same") for @programs;
}

done_testing();
