#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# What `devserve new` writes compiles without a warning and is an image that devserve takes.

use strict;
use warnings;
use Cwd 'abs_path';
use File::Temp 'tempdir';
use Test::More;

my $devserve = abs_path(($ENV{DEVSERVE_BUILD} || 'build') . '/devserve');
plan skip_all => 'no devserve here; run make' unless $devserve && -x $devserve;

my $directory = tempdir(CLEANUP => 1);
delete @ENV{grep { /^DEVSERVE_/ } keys %ENV};

# Status and what was said, stdout and stderr apart.
sub run {
	my (@command) = @_;
	my $pid = fork // die "fork: $!\n";

	if ($pid == 0) {
		open STDOUT, '>', "$directory/out" or die;
		open STDERR, '>', "$directory/err" or die;
		exec @command or die "$command[0]: $!\n";
	}
	waitpid $pid, 0;
	return ($? >> 8, map { content("$directory/$_") } qw(out err));
}

sub content {
	my ($path) = @_;

	open my $in, '<', $path or return '';
	local $/;
	return <$in> // '';
}

my $strict = '-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror -O2 -fPIC -shared -fvisibility=hidden';
my %languages = (
	'c' => ['c', map { "$_ -std=c11 $strict" } 'gcc', 'clang'],
	'c++' => ['cc', map { "$_ -std=c++20 $strict" } 'g++', 'clang++'],
	'cuda' => ['cu', 'nvcc -std=c++20 -Werror all-warnings -shared'
		. ' -Xcompiler -Wall,-Wextra,-Wshadow,-Werror,-fPIC,-fvisibility=hidden'],
);

for my $language (sort keys %languages) {
	my ($suffix, @compilers) = @{$languages{$language}};
	my $name = "my-$suffix";
	my $source = "$directory/plugins/$name/$name.$suffix";
	my ($status, $out, $err) = run($devserve, 'new', $name, '--lang', $language, '--root', "$directory/plugins");

	is($status, 0, "a deployment in $language is written") or diag $err;
	like($out, qr/^wrote \Q$source\E$/m, 'its file is named');
	like($out, qr{^  devserve infer $name X=1,2,3 --root \Q$directory\E/plugins$}m, 'and how to try it');
	for my $command (@compilers) {
		my ($compiler) = split / /, $command;

		SKIP: {
			skip "no $compiler here", 2 if system("$compiler --version >/dev/null 2>&1") != 0;
			my $said = qx($command -Iinclude -o $directory/image.so $source 2>&1);
			is("$?:$said", '0:', "$compiler compiles it without a word");
			($status, $out, $err) = run($devserve, 'inspect', '--json', "$directory/image.so");
			like("$status:$out", qr/^0:\{.*"inputs":\[\{"name":"X","datatype":"FP32","shape":\[-1\]\}\]/,
			     'devserve takes the image') or diag $err;
		}
	}
}

sub refused {
	my ($expected, $sentence, @arguments) = @_;
	my ($status, $out, $err) = run($devserve, 'new', '--root', "$directory/plugins", @arguments);

	is("$status:$out", "$expected:", "new @arguments: status $expected, nothing on stdout");
	like($err, $sentence, 'and the reason on stderr');
}

refused(1, qr{my-c is there already; choose another name or remove it}, 'my-c');
open my $single, '>', "$directory/plugins/single.cu" or die;
refused(1, qr{single\.cu is there already}, 'single');
refused(2, qr{give a name});
refused(2, qr{can't be called '$_'}, '--', $_) for '.hidden', '_ignored', '-x', 'a/b', '..', 'a b', 'x' x 65;
refused(2, qr{takes c, c\+\+ or cuda, not 'rust'}, 'x', '--lang', 'rust');
refused(1, qr{cannot write}, 'x', '--root', "$directory/err/below");
is_deeply([sort map { s{.*/}{}r } glob "$directory/plugins/*"], [qw(my-c my-cc my-cu single.cu)],
	  'what was refused left nothing behind');
is((run($devserve, 'new', 'x' x 64, '--root', "$directory/plugins"))[0], 0, 'a name of 64 characters is fine');

my ($status, $out) = run($devserve, 'new', '--help');
like("$status:$out", qr/^0:.*--lang/s, '--help prints the options');

done_testing();
