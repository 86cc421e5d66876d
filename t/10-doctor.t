#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# `devserve doctor` finds what is missing, says what mends it, and tells by its exit status.

use strict;
use warnings;
use Cwd qw(abs_path);
use File::Path qw(make_path);
use File::Temp qw(tempdir);
use JSON::PP qw(decode_json);
use Test::More;

my $build = abs_path($ENV{DEVSERVE_BUILD} // 'build');
plan skip_all => "no $build/devserve" unless -x "$build/devserve";
delete $ENV{$_} for grep { /^DEVSERVE_/ || /^(?:CC|CXX|NVCC|CUDA_HOME|NO_COLOR)$/ } keys %ENV;

my $place = tempdir(CLEANUP => 1);
chdir $place or die;

sub spew {
	my ($file, $text) = @_;

	open my $out, '>', $file or die "$file: $!\n";
	print $out $text;
	close $out;
	chmod 0755, $file;
}

# What it finds under these variables: status, and a check by its name.
sub doctor {
	my ($variables, @words) = @_;
	my $json = decode_json(scalar qx(env $variables $build/devserve doctor --json @words));

	return ($? >> 8, $json, map { $_->{name} => $_ } @{$json->{checks}});
}

sub finds {
	my ($variables, $name, $state, $value, $mend, $what, @words) = @_;
	my ($status, $json, %checks) = doctor($variables, @words);
	my $check = $checks{$name};

	is($check->{state}, $state, $what);
	like($check->{value}, $value, "$what: it is said");
	$mend ? like($check->{mend}, $mend, "$what: and what mends it") : is($check->{mend}, undef, "$what: nothing to mend");
	is($status, $state eq 'missing' ? 1 : 0, "$what: exit status");
	is($json->{ok} ? 1 : 0, $state eq 'missing' ? 0 : 1, "$what: ok says the same");
}

my $sudo = $> ? qr/^sudo / : qr/^/;
my ($status, $json, %checks) = doctor('');
is($status, 0, 'nothing is missing where the tests run');
is_deeply([sort keys %checks], [sort 'programs', 'headers', 'C', 'C++', 'linker', 'BLAS', 'GPU', 'CUDA', 'kernel', 'libraries',
	'inotify', 'huge pages', 'open files', 'root', 'state', 'server', 'peaks'], 'what it looks at');
is_deeply([grep { $_->{state} ne 'ok' && !$_->{mend} && $_->{name} !~ /GPU|huge/ } values %checks], [],
	'what is missing comes with what mends it');

mkdir 'bin';
symlink "/usr/bin/$_", "bin/$_" for qw(as ld env);
my $apt = `grep -s debian /etc/os-release` ? qr/apt-get install / : qr/./;
finds("PATH=$place/bin", 'C', 'missing', qr/^there is none; C deployments can't be built$/, qr/${sudo}.*${apt}/, 'no C compiler');
finds('CC=false', 'C', 'missing', qr/false can't compile: it fails on a few lines$/, qr/./, 'a C compiler that fails');
finds('CXX=false', 'C++', 'note', qr/false can't compile/, qr/./, 'a C++ compiler that fails can be done without');
finds('CC=absent', 'C', 'missing', qr/^there is none/, qr/./, 'a compiler that CC names but that is not there');
spew('bin/gcc', "#!/bin/sh\n/bin/cat >/dev/null\necho 'x.c:1:1: fatal error: devserve/deployment.h: No such file' >&2\nexit 1\n");
finds("CC=$place/bin/gcc", 'C', 'missing', qr/can't compile: devserve\/deployment\.h: No such file$/, qr/./, 'the compiler is quoted');
unlink 'bin/gcc';
symlink '/usr/bin/gcc', 'bin/gcc';
finds("PATH=$place/bin", 'linker', 'note', qr/no ld\.gold/, qr/binutils/, 'no gold');
unlink 'bin/as';
finds("PATH=$place/bin", 'linker', 'missing', qr/no assembler and linker/, qr/binutils/, 'no assembler');
finds("DEVSERVE_INCLUDE=$place", 'headers', 'missing', qr/deployment\.h isn't there/, qr/DEVSERVE_INCLUDE/, 'no headers');
mkdir 'libexec';
finds("DEVSERVE_LIBEXEC=$place/libexec", 'programs', 'missing', qr/: devserve-worker, devserve-watch, devserve-debug$/,
	qr/make install/, 'our own programs') if qx(DEVSERVE_LIBEXEC=$place/libexec $build/devserve doctor --json) =~ /devserve-worker/;
finds('', 'state', 'missing', qr/^\/proc\/x can't be written$/, qr/--state-dir/, 'a place that cannot be written', '--state-dir /proc/x')
	if $>;
SKIP: {
	skip 'only root may mount', 5 if $> || system "unshare -m true 2>/dev/null";
	mkdir 'noexec';
	my $out = qx(unshare -m sh -c 'mount -t tmpfs -o noexec none noexec && $build/devserve doctor --state-dir noexec');
	is($? >> 8, 1, 'a place that is mounted noexec is of no use');
	like($out, qr/^missing  state       noexec is mounted noexec: no image can be loaded from there\n +devserve --state-dir DIR$/m,
		'and that is said');
}
finds('', 'root', 'note', qr/^there is no directory \.\/absent yet$/, qr/^devserve new NAME --root \.\/absent$/,
	'a root that is not there', './absent');
mkdir 'plugins';
finds('', 'root', 'ok', qr/^\.\/plugins$/, undef, 'a root that is there');
SKIP: {
	skip 'only root may mount', 2 if $> || system "unshare -m true 2>/dev/null";
	my $out = qx(unshare -m sh -c 'mount -t tmpfs -o ro none plugins && $build/devserve doctor');
	is($? >> 8, 0, 'a root on a read-only mount can be served');
	like($out =~ s/\s+/ /gr, qr/note root \.\/plugins can't be written \(Read-only file system\): 'devserve record'/,
		'but not recorded in, and that is said');
}
finds('', 'server', 'ok', qr/^none runs$/, undef, 'no server');

my $page = qx($build/devserve doctor);
like($page, qr/^devserve \d+\.\d+\.\d+ on .*\n\n(?:(?:ok|note|missing) .*\n(?: {21,}.*\n)*){17}\nNothing that is required is missing\.\n$/,
	'people get a table');
unlike($page, qr/\e/, 'without colour where there is no terminal');

done_testing();
