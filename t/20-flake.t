#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# flake.nix evaluates, against a nixpkgs in miniature (t/lib/nixpkgs) in a store of its own: no
# network, no daemon, no /nix. And every name that it takes from nixpkgs is looked up: with one
# letter more the check fails.

use strict;
use warnings;
use Cwd;
use File::Temp qw(tempdir);
use Test::More;

use FindBin;
use lib "$FindBin::Bin/lib";
use Files qw(slurp spew);

plan skip_all => 'no nix here' if system 'command -v nix nix-instantiate >/dev/null';

my $tree = getcwd();
my $place = tempdir(CLEANUP => 1);
my $flake = "$place/flake";
my $options = '--offline --no-write-lock-file --override-input nixpkgs path:' . "$tree/t/lib/nixpkgs";
END { system 'chmod', '-R', 'u+w', $place if defined $place } # a store is read-only

mkdir "$place/$_" for qw(etc etc/nix home flake);
spew("$place/etc/nix.conf", <<'END');
experimental-features = nix-command flakes
substituters =
sandbox = false
build-users-group =
END
%ENV = (PATH => $ENV{PATH}, HOME => "$place/home", NIX_STORE_DIR => "$place/store",
	NIX_STATE_DIR => "$place/var", NIX_LOG_DIR => "$place/log", NIX_CONF_DIR => "$place/etc");

# Status, stdout, stderr.
sub nix {
	my ($line) = @_;
	my $out = qx({ cd '$flake' && $line ; } 2>'$place/err' </dev/null);

	return ($? >> 8, $out, slurp("$place/err"));
}

sub check {
	return nix("nix flake check --no-build $options path:$flake && "
		. "nix eval --raw $options path:$flake#formatter.x86_64-linux.drvPath"); # old ones don't check it
}

my $text = slurp('flake.nix');
spew("$flake/flake.nix", $text);
spew("$flake/Makefile", slurp('Makefile'));

my ($status, $out, $err) = check();
is($status, 0, 'nix flake check') or diag($err);
my ($version) = slurp('Makefile') =~ /^VERSION := (.*)$/m;
($status, $out, $err) = nix("nix eval --raw $options path:$flake#packages.x86_64-linux.default.name");
is($out, "devserve-$version", 'the package has the version of the Makefile') or diag($err);
for my $what (qw(devShells.x86_64-linux.default formatter.x86_64-linux)) {
	($status, $out, $err) = nix("nix eval --raw $options path:$flake#$what.drvPath");
	like($out, qr/\.drv$/, $what) or diag($err);
}

my %names = map { $_ => 1 } $text =~ /\bpkgs\.((?:lib\.|licenses\.|stdenv\.)*[\w-]+)/g;
cmp_ok(keys %names, '>', 20, 'it takes more than twenty names from nixpkgs');
for my $name (sort keys %names) {
	spew("$flake/flake.nix", $text =~ s/\bpkgs\.\Q$name\E(?![\w-])/pkgs.${name}v/gr);
	($status, $out, $err) = check();
	ok($status != 0 && $err =~ /attribute '[\w-]+v' missing/, "${name}v would be noticed")
		or diag("status $status: $err");
}

spew("$flake/flake.nix", $text =~ s/makeFlags = /makeFlag = /r);
isnt((check())[0], 0, 'so would an attribute that mkDerivation has no use for');
spew("$flake/flake.nix", $text =~ s/\};\s*\}\s*$/}/r);
isnt((nix("nix-instantiate --parse '$flake/flake.nix'"))[0], 0, 'and what does not parse');

done_testing();
