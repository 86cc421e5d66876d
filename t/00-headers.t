#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# Every header compiles alone, the public ones in each language they are for, and so does
# what the README shows of C.

use strict;
use warnings;
use Test::More;

my $cc = $ENV{CC} || 'cc';
my $cxx = $ENV{CXX} || 'c++';
my $strict = '-Wall -Wextra -Wpedantic -Werror';

# What the compiler says of @text; nothing is good.
sub complaint {
	my ($compiler, $flags, $text) = @_;

	open my $to, '|-', "$compiler $flags -Iinclude -fsyntax-only - >/tmp/headers.$$ 2>&1" or die "$compiler: $!\n";
	print $to $text;
	my $ok = close $to;
	open my $from, '<', "/tmp/headers.$$" or die;
	my $said = join '', <$from>;
	unlink "/tmp/headers.$$";
	return $ok ? '' : "$said(status $?)";
}

for my $header (grep { -e } glob 'src/*/*.h') {
	my $name = $header =~ s{^src/}{}r;

	is(complaint($cc, "-x c -std=c11 -D_GNU_SOURCE -Isrc -Wall -Wextra -Werror", "#include \"$name\"\n"),
	   '', "$name compiles alone");
}

my @compilers = ([$cc, 'c', 'c11'], [$cxx, 'c++', 'c++17'], [$cxx, 'c++', 'c++20']);
push @compilers, ['clang', 'c', 'c11'], ['clang++', 'c++', 'c++17'], ['clang++', 'c++', 'c++20']
	if qx(clang --version 2>/dev/null && clang++ --version 2>/dev/null);
for my $header (grep { -e } glob 'include/devserve/{,*/}*.h') {
	my $name = $header =~ s{^include/}{}r;

	for (@compilers) {
		my ($compiler, $language, $standard) = @$_;

		is(complaint($compiler, "-x $language -std=$standard $strict", "#include <$name>\n"),
		   '', "<$name> compiles alone as $standard with $compiler");
	}
}

if (open my $readme, '<', 'README.md') {
	my $text = join '', <$readme>;
	my $n = 0;

	while ($text =~ /^```(c|c\+\+|cpp)\b[^\n]*\n(.*?)^```/gms) {
		my ($language, $snippet) = ($1 eq 'c' ? 'c' : 'c++', $2);

		next unless $snippet =~ /DEVSERVE_DEPLOYMENT/;
		$n++;
		is($language eq 'c' ? complaint($cc, "-x c -std=c11 $strict", $snippet)
				    : complaint($cxx, "-x c++ -std=c++20 $strict", $snippet),
		   '', "plugin $n of the README compiles");
	}
	ok($n, 'the README shows a plugin');
}

done_testing();
