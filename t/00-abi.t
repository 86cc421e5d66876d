#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# The plugin ABI is what t/abi.golden says, in every language and compiler. A difference is
# a decision. Against the last release, a field at the end or a new number makes a new minor,
# once for all that comes with the next release, and everything else a new major. While there
# is no release it is 1.0, whatever changes. Then write the file anew:
#
#	cc -Iinclude -o /tmp/layout t/lib/abi_layout.c && /tmp/layout >t/abi.golden

use strict;
use warnings;
use File::Temp 'tempdir';
use Test::More;

my $directory = tempdir(CLEANUP => 1);
my $cc = $ENV{CC} || 'cc';
my $cxx = $ENV{CXX} || 'c++';

sub content {
	my ($path) = @_;

	open my $in, '<', $path or die "$path: $!\n";
	local $/;
	return <$in>;
}

my $golden = content('t/abi.golden');
my %tried;
for (['c', 'c11', $cc, 'gcc', 'clang'], ['c++', 'c++20', $cxx, 'g++', 'clang++']) {
	my ($language, $standard, @compilers) = @$_;

	for my $compiler (@compilers) {
		next if $tried{"$compiler $standard"}++;
		SKIP: {
			skip "no $compiler here", 1
				if system("$compiler --version >/dev/null 2>&1") != 0;
			my $said = qx($compiler -x $language -std=$standard -Wall -Wextra -Wpedantic -Werror \\
				-Iinclude -o $directory/layout t/lib/abi_layout.c 2>&1);
			is($? == 0 ? qx($directory/layout) : $said, $golden, "the layout in $standard by $compiler");
		}
	}
}

# What the printing program doesn't know of, the golden file can't hold.
my $printed = content('t/lib/abi_layout.c');
my $header = join('', map { content($_) } glob 'include/devserve/{,ext/}*.h') =~ s{/\*.*?\*/}{}gsr;
my @missing;
while ($header =~ /^struct (devserve_\w+) \{\n(.*?)^\};/gms) {
	my ($struct, $body) = ($1, $2);

	push @missing, $struct unless $printed =~ /SIZE\(struct $struct\)/;
	$body =~ s/DEVSERVE_(ABSENT|PRINTF\([^)]*\))//g;
	for my $declaration (split /;/, $body =~ s/\s+/ /gr) {
		my @names = $declaration =~ /\(\*(\w+)\)/ ? $1
			: map { /(\w+)(?:\[\w+\])?\s*$/ ? $1 : () } split /,/, $declaration;
		push @missing, map { "$struct.$_" } grep { $printed !~ /FIELD\($struct, $_\)/ } @names;
	}
}
while ($header =~ /^enum devserve_\w+ \{(.*?)\};/gms) {
	push @missing, grep { $printed !~ /VALUE\($_\)/ } $1 =~ /(DEVSERVE_\w+)/g;
}
is("@missing", '', 'every struct, field and enumerator is in it');

done_testing();
