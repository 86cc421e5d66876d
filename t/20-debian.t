#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# `make deb`: without a network, to packages that lintian has nothing to say of which
# packaging/debian doesn't explain. Wants build-essential and debhelper, which nothing else here needs.

use strict;
use warnings;
use Cwd;
use File::Temp qw(tempdir);
use Test::More;

use FindBin;
use lib "$FindBin::Bin/lib";
use Files qw(slurp);

sub first_match {
	my ($file, $pattern) = @_;

	return slurp($file) =~ $pattern ? $1 : "nothing in $file";
}

my $version = first_match('Makefile', qr/^VERSION := (.*)$/m);
is(first_match('packaging/debian/changelog', qr/^devserve \((.*)-\d+\) /), $version, 'Debian has our version');

# What `make deps` installs is what a package is built with.
my @needed = first_match('Makefile', qr/^packages_serve := ((?:.*\\\n)*.*\n)/m) =~ /\b(lib[\w.-]+-dev|zlib1g-dev)\b/g;
my $build = first_match('packaging/debian/control', qr/^Build-Depends: ((?:.*,\n)*.*\n)/m);
cmp_ok(scalar @needed, '>', 5, 'make deps installs libraries');
is_deeply([grep { $build !~ /(?<![\w-])\Q$_\E(?![\w-])/ } @needed], [], 'which Build-Depends has, too');

SKIP: {
	skip 'what Debian builds packages with is not there', 6
		if system '{ command -v dpkg-buildpackage && dpkg-checkbuilddeps packaging/debian/control; } >/dev/null 2>&1';
	skip 'a build for a sanitizer is nobody\'s release', 6 if $ENV{DEVSERVE_SANITIZE};
	my $place = tempdir(CLEANUP => 1);
	my $alone = $> == 0 ? 'unshare --net' : ''; # there is no way out
	my $said = qx(DEB_BUILD_OPTIONS=nocheck $alone make deb BUILD='$place' 2>&1 </dev/null);
	is($?, 0, 'make deb') or diag($said);
	my $contents = join '', map { scalar qx(dpkg-deb --contents $_) } glob "$place/deb/devserve*.deb";
	like($contents, qr{ \./\Q$_\E$}m, "there is $_") for qw(usr/bin/devserve usr/include/devserve/deployment.h
		usr/share/man/man1/devserve.1.gz usr/share/bash-completion/completions/devserve);

	skip 'lintian is not there', 1 if system 'command -v lintian >/dev/null';
	my @complaints = grep { !/^(?:N|O|X): / && !/no-homepage-field|standards-version|running with root/ }
		split /\n/, qx(lintian --display-info $place/deb/devserve_*.changes 2>&1);
	is("@complaints", '', 'lintian is content');
}

done_testing();
