#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# Help, manual page and completions are made of the table that the parser reads, so they say
# the same; and what they are made for can read them.

use strict;
use warnings;
use Cwd qw(abs_path);
use File::Path qw(make_path);
use File::Temp qw(tempdir);
use Test::More;

use FindBin;
use lib "$FindBin::Bin/lib";
use Files qw(spew);

my $build = abs_path($ENV{DEVSERVE_BUILD} // 'build');
plan skip_all => "no $build/devserve" unless -x "$build/devserve";
$ENV{PATH} = "$build:$ENV{PATH}";
delete $ENV{$_} for grep { /^DEVSERVE_/ } keys %ENV;

my ($place, $home) = (tempdir(CLEANUP => 1), tempdir(CLEANUP => 1));
chdir $place or die;
make_path('plugins/matmul/src', 'plugins/.hidden', 'plugins/_shared', 'plugins/headers', 'elsewhere');

sub has {
	return system("command -v $_[0] >/dev/null") == 0;
}

my ($head) = qx(devserve --help) =~ /^Commands:\n((?:  .*\n)+)/m;
my @commands = $head =~ /^  (\w+)/mg;
my %options = map { my $help = qx(devserve $_ --help); $_ => [$help =~ /^  (?:-\w, |    )--([a-z-]+)/mg] } '', @commands;
cmp_ok(scalar @commands, '>=', 10, 'the help lists the commands');

# The parser

for my $command ('', @commands) {
	my @unknown = grep {
		my $value = qx(devserve $command --help) =~ /--$_ [A-Z]/ ? '=1' : '';
		qx(devserve $command --$_$value --frobnicate 2>&1) !~ /--$_ takes|no option --frobnicate/
	} grep { !/^(?:help|version)$/ } @{$options{$command}};

	is("@unknown", '', "devserve $command takes what its help lists");
}

# The manual

my $manual = do { local (@ARGV, $/) = "$build/devserve.1"; <> };
is($manual, scalar qx(devserve help --man), 'build/devserve.1 is what the program says');
my %parts = ('', $manual =~ /^\.SH OPTIONS\n(.*?)^\.SH/ms, $manual =~ /^\.SS devserve (\w+)\n(.*?)(?=^\.S[SH])/msg);
is_deeply([sort keys %parts], [sort '', @commands], 'the manual has a section for each command');
for (sort keys %parts) {
	my @there = map { s/\\//gr } $parts{$_} =~ /^(?:\\fB\\-\w\\fR, )?\\fB\\-\\-([\\a-z-]+)\\fR/mg;

	is_deeply([sort @there], [sort @{$options{$_}}], "the manual of 'devserve $_' has its options");
}
is_deeply([$manual =~ /^\.SH "EXIT STATUS"\n(.*?)^\.SH/ms ? $1 =~ /\\fB(\d+)\\fR/g : ()], [0, 1, 2, 4, 69, 130],
	'the manual has the exit statuses');
for (['man', 'man --warnings -E UTF-8 -l -Tutf8 -Z'], ['groff', 'groff -man -Tutf8 -ww -z'], ['mandoc', 'mandoc -Tlint']) {
	my ($program, $line) = @$_;

	SKIP: {
		skip "$program is not there", 1 unless has($program);
		is(scalar qx($line $build/devserve.1 2>&1 >/dev/null) . ($program eq 'mandoc' ? qx($line $build/devserve.1) : ''),
			'', "$program has nothing to complain about");
	}
}

# bash: what would be offered for a line that ends at the cursor

spew($_, '') for 'plugins/matmul/src/matmul.c', 'plugins/relu.cu', 'plugins/headers/x.h', 'plugins/notes.md';

my @shells = grep { has($_) } qw(bash zsh fish);
for (@shells) {
	my $check = { bash => 'bash -n', zsh => 'zsh -n', fish => 'fish --no-execute' }->{$_};

	is(scalar qx($check $build/completions/$_ 2>&1), '', "$_ can read its script");
	is(scalar qx(cat $build/completions/$_), scalar qx(devserve completion $_), 'which is what the program says');
}

SKIP: {
	skip 'shellcheck is not there', 1 unless has('shellcheck');
	is(scalar qx(shellcheck -s bash $build/completions/bash), '', 'shellcheck has nothing to say about that for bash');
}

sub bash {
	my ($line) = @_;

	spew('ask', <<'END');
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
_devserve
printf '%s\n' "${COMPREPLY[@]}"
END
	my @words = $line =~ / $/ ? ((split ' ', $line), '') : split ' ', $line;
	@words = map { /^(--[a-z-]+)(=)(.*)$/ ? ($1, $2, length $3 ? $3 : ()) : $_ } @words; # as readline does
	open my $out, '-|', 'bash', 'ask', "$build/completions/bash", @words or die;
	return [sort grep { length } map { chomp; $_ } <$out>];
}

sub fish {
	my ($line) = @_;

	return [sort map { s/\t.*//sr } split /\n/, qx(HOME=$home fish -N -c 'source $build/completions/fish; complete -C "$line"')];
}

# An interactive zsh lists what it would offer for each line, and then prints a word that was not
# typed as it is.
sub zsh {
	my (@lines) = @_;

	spew('ask.zsh', <<'END');
zmodload zsh/zpty
zpty z zsh -f -i
zpty -w z "autoload -U compinit; compinit -D -u; source $1; bindkey '^I' list-choices; PS1=GO''ON"
zpty -r z out '*GOON*' # the prompt: from here on what is typed goes to the line editor
shift
for line; do
	zpty -w -n z "$line"$'\t\025'"print DO''NE"$'\n'
	zpty -r z out $'*DONE*GOON*'
	print -r -- $out
done
zpty -d z
END
	open my $out, '-|', 'env', 'TERM=xterm', 'timeout', '60', 'zsh', '-f', 'ask.zsh', "$build/completions/zsh", @lines or die;
	my $said = do { local $/; <$out> } =~ s/\e\[[\d;?]*[a-zA-Z]//gr;
	return map { [sort /^(-?-?[a-z]\S*) +-- /mg] } split /DONE/, $said;
}

sub completes {
	my ($line, @expected) = @_;

	is_deeply(bash($line), [sort @expected], "bash: $line");
	SKIP: {
		skip 'fish is not there', 1 unless has('fish');
		is_deeply([map { s{.*=|/$}{}gr } @{fish($line)}], [sort @expected], "fish: $line");
	}
}

is_deeply(bash('devserve '), [sort @commands, 'plugins', 'elsewhere'], 'bash: commands, or a directory');
completes('devserve statu', 'status');
for (@commands) {
	is_deeply(bash("devserve $_ --"), [sort map { "--$_" } @{$options{$_}}], "bash: devserve $_ --");
}
is_deeply(bash('devserve --'), [sort map { "--$_" } @{$options{''}}], 'bash: devserve --');
SKIP: {
	skip 'fish is not there', scalar @commands unless has('fish');
	is_deeply(fish("devserve $_ --"), [sort map { "--$_" } @{$options{$_}}], "fish: devserve $_ --") for @commands;
}
SKIP: {
	skip 'zsh is not there', 2 + @commands unless has('zsh');
	my ($words, $help, @dashes) = zsh('devserve ', 'devserve help ', map { "devserve $_ --" } @commands);

	is_deeply($words, [sort @commands], 'zsh: commands');
	is_deeply($help, [sort @commands], 'zsh: devserve help ');
	for (0 .. $#commands) {
		is_deeply([grep { /^--/ } @{$dashes[$_]}], [sort map { "--$_" } @{$options{$commands[$_]}}],
			"zsh: devserve $commands[$_] --");
	}
}
completes('devserve completion ', qw(bash fish zsh));
completes('devserve help statu', 'status');
is_deeply(bash('devserve help '), [sort @commands], 'bash: devserve help ');
completes('devserve new --lang ', qw(c c++ cuda));
completes('devserve new --lang=cu', 'cuda');
completes('devserve status --root e', 'elsewhere');
completes('devserve status --root=e', 'elsewhere');
completes('devserve new x --root ', 'elsewhere', 'plugins');
completes('devserve wait ', 'matmul', 'relu');
completes('devserve logs -n 5 mat', 'matmul');
completes('devserve --port ');
is_deeply(bash("devserve $_ "), [], "bash: nothing after $_") for 'wait matmul', 'wait --root elsewhere';
is_deeply(bash('devserve inspect as'), ['ask', 'ask.zsh'], 'bash: a file');

done_testing();
