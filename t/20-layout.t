#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# `devserve-debug layout`: the members of a state's struct, and the pointers in it.

use strict;
use warnings;
use Cwd 'abs_path';
use File::Temp 'tempdir';
use Test::More;

my $debug = abs_path(($ENV{DEVSERVE_BUILD} || 'build') . '/devserve-debug');
plan skip_all => 'no devserve-debug here; run make' unless $debug && -x $debug;

my $directory = tempdir(CLEANUP => 1);

# The status, the lines on stdout, and stderr, of a state that @text defines.
sub layout {
	my ($compiler, $text) = @_;
	my $source = "$directory/s." . ($compiler =~ /\+\+/ ? 'cc' : 'c');

	open my $to, '>', $source or die;
	print $to "#include <devserve/ext/state.h>\n$text\n",
		"static int infer(const struct devserve_call *call) { return devserve_state(call) == 0; }\n",
		"DEVSERVE_DEPLOYMENT(.outputs = DEVSERVE_TENSORS({ \"Y\", DEVSERVE_INT64, { 1 } }), .infer = infer,\n",
		"\t.extensions = { DEVSERVE_STATE_EXTENSION })\n";
	close $to;
	system("$compiler -Iinclude -O2 -fPIC -shared -fvisibility=hidden -o $directory/s.so $source") == 0
		or die "$compiler failed\n";
	my @lines = qx($debug layout $directory/s.so 2>$directory/said);
	my $status = $? >> 8;
	open my $from, '<', "$directory/said" or die;
	chomp @lines;
	return ($status, \@lines, join '', <$from>);
}

# Of each member what stands before its type.
sub members {
	my ($first, @lines) = @{$_[0]};

	return join ', ', map { s/\t.*//r } @lines;
}

my @compilers = grep { system("$_ --version >/dev/null 2>&1") == 0 } 'gcc', 'clang';
for my $cc (@compilers) {
	my $cxx = { gcc => 'g++', clang => 'clang++' }->{$cc} . ' -g -std=c++20';
	my ($status, $layout, $said) = layout("$cc -g", <<'END');
enum mode { IDLE, BUSY = 5 };
struct counter {
	int64_t count; struct { int a[3]; char c; } in[2]; union { float f; int i; }; unsigned bit : 3; int other : 7; _Bool b;
	enum mode mode; float _Complex z; long double x; unsigned char m[2][3]; struct { short last; }; int rest[];
};
DEVSERVE_STATE(struct counter, .version = 1)
END
	is("$status$said", '0', "$cc: a state without pointers is fine");
	is($layout->[0], 'state 1 96 counter', 'its size and name are told');
	is(members($layout),
	   'i 64 0 - count, i 32 64 2x16,3x4 in[].a[], i 8 160 2x16 in[].c, v 32 320 - (union 1), u 3 352 - bit, ' .
	   'i 7 355 - other, b 8 368 - b, u 32 384 - mode, c 32 416 2x4 z, x 128 512 - x, u 8 640 2x3,3x1 m[][], ' .
	   'i 16 688 - last', 'and its members');
	is((grep { / mode\t/ } @$layout)[0] =~ s/.*?\t//r, "mode\tIDLE=0;BUSY=5", 'with the constants of an enum');
	is((grep { /^v/ } @$layout)[0] =~ s/.*\t//r, 'f:f 32 0;i:i 32 0', 'and what may be in a union');

	($status, $layout, $said) = layout("$cc -g", <<'END');
typedef const char *text;
typedef struct { int64_t count; struct { int a; const text names[4]; } in[2]; } counter_t;
DEVSERVE_STATE(counter_t, .version = 1)
END
	is("$status $said", "3 counter_t.in[].names[] (const char *), s.c:3\n",
	   "$cc: a pointer is found behind typedefs, arrays and structs");
	is(join(', ', grep { /^p/ } @$layout), "p 64 128 2x40,4x8 in[].names[]\tconst char *\t", 'and marked');

	($status, $layout, $said) = layout($cxx, <<'END');
namespace { struct base { int &r; }; struct counter : base { int n; static int m; };
DEVSERVE_STATE(counter, .version = 1) }
END
	is("$status $said", "3 counter.r (int &), s.cc:2\n", "$cxx: a reference of a base class is found");

	($status, $layout, $said) = layout($cxx, <<'END');
struct counter { int64_t n; void (counter::*m)(int); }; DEVSERVE_STATE(counter, .version = 1)
END
	is("$status " . ($said =~ /^counter\.m /), '3 1', "$cxx: so is a pointer to a member");
}

my ($status, $layout, $said) = layout('g++ -g -std=c++17', <<'END');
#include <string>
#undef DEVSERVE_STATE_CHECK
#define DEVSERVE_STATE_CHECK(type)
struct counter { int64_t n; std::string text; }; DEVSERVE_STATE(counter, .version = 1)
END
is("$status " . ($said =~ /^counter\.text\._M_dataplus\._M_p \(char \*\), s\.cc:5$/), '3 1', 'a string has one inside');

($status, $layout, $said) = layout('gcc', 'struct s { int n; }; DEVSERVE_STATE(struct s, .version = 1)');
is("$status $said", "1 it has no debug information of the state\n", 'without -g it cannot be told');
($status, $layout, $said) = layout('gcc -g', 'struct s { struct s *next; }; DEVSERVE_STATE(struct s, .version = 1)');
is($status, 3, 'a list that leads to itself comes to an end');

# Debug information that lies: never a hang, never another way out than these.
open my $in, '<:raw', "$directory/s.so" or die;
my $image = do { local $/; <$in> };
srand 7;
my %seen;
for (1 .. 200) {
	my $wrong = $image;

	substr($wrong, int rand length $wrong, 1) = chr int rand 256 for 1 .. 20;
	open my $to, '>:raw', "$directory/wrong.so" or die;
	print $to $wrong;
	close $to;
	system("timeout 5 $debug layout $directory/wrong.so >/dev/null 2>&1");
	$seen{$? & 127 ? 'killed' : $? >> 8}++;
}
ok(!exists $seen{124}, 'damaged images end in time: ' . join ', ', map { "$_: $seen{$_}" } sort keys %seen);
delete @seen{0, 1, 3};
is(join(' ', %seen), '', 'and in no crash');

done_testing();
