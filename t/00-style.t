#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# What a reader may rely on in every source file: its licence, no call that can't be used
# safely, and a size that can be read.

use strict;
use warnings;
use Test::More;

my $longest_function = 100;
my $longest_file = 1000;
my @banned = qw(strcpy strcat sprintf vsprintf gets alloca atoi atol atof strtok);

sub lines {
	my ($file) = @_;

	open my $in, '<', $file or die "$file: $!\n";
	return <$in>;
}

# The text without comments, strings and characters; lines stay where they are.
sub code {
	my $text = join '', @_;

	$text =~ s{(/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')}{ $1 =~ s/[^\n]//gr }gse;
	return split /^/, $text;
}

my @all = split /\n/, qx(find src include plugins examples bench packaging t .ci -type f \
	! -path '*/.devserve/*' ! -path '*/__pycache__/*' 2>/dev/null | sort);
my @c = grep { /\.(c|h|cc|cpp|hpp|cu|cuh|def)$/ } @all;
my @scripts = grep { /\.(t|py|sh|mk)$/ || m{^\.ci/} || (lines($_))[0] =~ /^#!/ } grep { -s && -T } @all;

my @unlicensed;
for my $file ('Makefile', @c, @scripts) {
	my $licence = $file =~ m{^src/watcher/} ? 'GPL-2.0-only' : 'MIT';
	my @head = (lines($file))[0, 1];

	shift @head if defined $head[0] && $head[0] =~ /^#!/;
	push @unlicensed, $file unless ($head[0] // '') =~ m{^(?:/\*|//|#|;) SPDX-License-Identifier: \Q$licence\E\b};
}
is("@unlicensed", '', 'the first line names the licence: GPL-2.0-only in src/watcher, MIT elsewhere');

my (@calls, @functions, @files);
for my $file (@c) {
	my @code = code(lines($file));
	my ($banned, $start, $head) = (join '|', @banned);

	push @files, sprintf '%s (%d)', $file, scalar @code if @code > $longest_file;
	for my $i (0 .. $#code) {
		push @calls, "$file:" . ($i + 1) . " $1" if $code[$i] =~ /(?<![\w.>])($banned)\s*\(/;
		if ($code[$i] =~ /^\{/) {
			$start = $i;
		} elsif ($code[$i] =~ /^\}/ && defined $start) {
			push @functions, "$file:" . ($start + 1) . ' (' . ($i - $start) . ')'
				if $i - $start > $longest_function;
			undef $start;
		}
	}
}
is("@calls", '', "nothing calls @banned");
is("@functions", '', "no function is longer than $longest_function lines");
is("@files", '', "no file is longer than $longest_file lines");
my @main = grep { -e && scalar(() = lines($_)) >= 100 } 'src/main.c';
is("@main", '', 'main.c stays below 100 lines');

done_testing();
