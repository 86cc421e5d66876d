#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# `devserve-debug layout`: the members of a state's struct, and the pointers in it.

use strict;
use warnings;
use Cwd 'abs_path';
use File::Temp 'tempdir';
use JSON::PP 'decode_json';
use Test::More;

my $debug = abs_path(($ENV{DEVSERVE_BUILD} || 'build') . '/devserve-debug');
plan skip_all => 'no devserve-debug here; run make' unless $debug && -x $debug;

my $directory = tempdir(CLEANUP => 1);

# The status, what is on stdout as data, and stderr, of a state that @text defines.
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
	my $json = qx($debug layout $directory/s.so 2>$directory/said);
	my $status = $? >> 8;
	open my $from, '<', "$directory/said" or die;
	return ($status, $json ? decode_json($json) : undef, join '', <$from>);
}

my @compilers = grep { system("$_ --version >/dev/null 2>&1") == 0 } 'gcc', 'clang';
for my $cc (@compilers) {
	my $cxx = { gcc => 'g++', clang => 'clang++' }->{$cc} . ' -g -std=c++20';
	my ($status, $layout, $said) = layout("$cc -g", <<'END');
struct counter { int64_t count; struct { int a[3]; union { float f; int i; }; } in; unsigned bit : 3; };
DEVSERVE_STATE(struct counter, .version = 1)
END
	is("$status$said", '0', "$cc: a state without pointers is fine");
	is(join(' ', map { $_->{name} } @{$layout->{members}}),
	   'counter.count counter.in.a[] counter.in.f counter.in.i counter.bit', 'its members are listed');
	is($layout->{size}, 32, 'with its size');

	($status, $layout, $said) = layout("$cc -g", <<'END');
typedef const char *text;
typedef struct { int64_t count; struct { int a; const text names[4]; } in[2]; } counter_t;
DEVSERVE_STATE(counter_t, .version = 1)
END
	is("$status $said", "3 counter_t.in[].names[] (const char *), s.c:3\n",
	   "$cc: a pointer is found behind typedefs, arrays and structs");
	is(join(' ', map { $_->{name} } grep { $_->{pointer} } @{$layout->{members}}), 'counter_t.in[].names[]',
	   'and marked');

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
