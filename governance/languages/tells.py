"""nothing -> what gives a language away, as data.

A tell is one to three lexemes in a row: words, single characters, ``0`` for any number, ``BAR`` for ``|``, and ``~``
for the end of a line, which the beginning of a text counts as. Strong ones are hardly written in another language,
weak ones in a few others too. Comments, and strings of three quotes, are passed over before.
"""

from __future__ import annotations

STRONG, MEDIUM, WEAK = 8, 3, 1

TELLS: dict[str, dict[int, str]] = {
    "text": {
        STRONG: r"""
            ` ` `  ] ( http  ] ( #  ~ 0 .  ~ # #  * * :
        """,
        MEDIUM: r"""
            as a  I want  so that  should be  must be  can be  will be  such as  of the  in the  to the  on the
            for the  is a  it is  there is  this is  you can  we can  do not  . The  . This  . It  . In  , and
            , but  , which  e . g  i . e  ~ - *  please  Please  write  Write  Implement  implement  create  Create
            generate
        """,
        WEAK: r"""
            the  of  is  are  an  to  that  with  was  were  which  how  what  when  must  should  user  users  your
            you  we  our
        """,
    },
    "c": {
        STRONG: r"""
            # include <  # include "  # ifndef  # define  # ifdef  typedef struct  struct _  size_t  unsigned char
            unsigned int  malloc (  free (  sizeof (  NULL )  printf (  - > next  int argc  char * argv
            const char *  static int  memcpy (  strlen (  memset (  void *  = NULL  uint8_t  char *  int *  = = NULL
        """,
        MEDIUM: r"""
            static void  static const  ; ~ }  ) ~ {  # endif  NULL  struct  unsigned  fprintf  extern  goto  errno
            int i ;  * *  0 ) ;  ! = NULL
        """,
        WEAK: r"""
            ; ~  { ~  - >  int  void  char  ) ;  / *  return 0 ;  else {
        """,
    },
    "cpp": {
        STRONG: r"""
            std : :  template <  namespace  # include <  : : ~  virtual  operator =  const std  nullptr  public : ~
            private : ~  protected : ~  static_cast <  using namespace  constexpr  typename  unique_ptr  shared_ptr
            make_unique  noexcept  string &  const auto  auto &  & operator  cout < <  < < endl  explicit  > &
        """,
        MEDIUM: r"""
            : :  & &  class  const &  ] ( )  override ;  = default  = delete  delete  friend  EXPECT_EQ (
            ASSERT_EQ (  TEST (  Slice &  const Slice  auto  inline  > (  template  const  std
        """,
        WEAK: r"""
            ; ~  { ~  - >  int  void  ) ;  bool  / /  size_t
        """,
    },
    "objective-c": {
        STRONG: r"""
            @ interface  @ implementation  @ end  @ property  @ "  # import  NSString *  [ self  NSObject  nonatomic
            - ( void  + ( instancetype  @ protocol  alloc ] init  - ( instancetype  NSInteger  NSArray  NSDictionary
            NSError  self .  [ [  NS_ASSUME_NONNULL_BEGIN  - (  + (  nullable  dispatch_async  YES  ] ) ;
            NSUInteger  CGFloat  BOOL
        """,
        MEDIUM: r"""
            ] ;  nil  @ [  @ {  id  ^ (  IBAction  : ^  __weak  strong
        """,
        WEAK: r"""
            ; ~  { ~  self  void  ) {
        """,
    },
    "java": {
        STRONG: r"""
            import java  import javax  public class  private final  private static  public static  @ Override
            import org .  public void  extends  implements  throws  System . out  new ArrayList  new HashMap
            String [  public final  private String  protected void  @ Autowired  @ Test ~  final class
            public interface  package com  List < String  boolean  public String  public boolean  public int
            Integer  private int  IOException  instanceof
        """,
        MEDIUM: r"""
            String  private  protected  public  throw new  final  Object  ; ~ import  catch (  . class  < T >  ; ~ }
            static final  void  class  assertThat (
        """,
        WEAK: r"""
            ; ~  { ~  new  int  ) {  this .  null  ) ;  . get  return
        """,
    },
    "kotlin": {
        STRONG: r"""
            fun  data class  companion object  ? :  ? .  override fun  suspend fun  internal  : String ?
            lateinit var  sealed class  when (  open class  listOf (  mutableListOf (  : String  private val
            private fun  ! !  fun interface  : Int  : Unit  by lazy  mapOf (  object :  const val  reified  it .
            expect  actual  typealias
        """,
        MEDIUM: r"""
            val  var  is  . let {  ) :  { it  -> ~  in 0  println (  override  null  : List <  object  as  when
            arrayOf (  = >
        """,
        WEAK: r"""
            { ~  import  class  package  return  private
        """,
    },
    "csharp": {
        STRONG: r"""
            using System  namespace  { get ;  get ; set  string .  public async Task  async Task  IEnumerable <
            public override  public string  private readonly  [ Fact  internal  readonly  using Microsoft  ; } ~
            decimal  out var  string [  nameof (  public sealed  static void Main  await  = > ~  Console .
            foreach (  List < string  sealed class  public bool  private static  internal static  public static
            new (  params  ? ? throw  typeof (  this IEnumerable  # region  # if
        """,
        MEDIUM: r"""
            string  var  public class  override  bool  Assert .  new List  in  get  throw new  ) ~ {  public  ? ?
            private  static  # endif  = >  this
        """,
        WEAK: r"""
            ; ~  { ~  new  void  int  class  null  ) ;  return
        """,
    },
    "go": {
        STRONG: r"""
            package main  func (  : =  err ! =  ! = nil  import ( ~  func Test  fmt .  struct {  interface {  chan
            go func  defer  make (  [ ] string  range  : = range  [ ] byte  * testing  map [  nil {  return nil
            ) error {  , err  t . Errorf  t . Fatal  : = &  error )  string )  * http  ctx context  ) string {
        """,
        MEDIUM: r"""
            func  nil  package  string  err  error  } ~ ~  make  append (  == nil  } else {  for _ ,  int64  len (
            if err
        """,
        WEAK: r"""
            { ~  if  for  return  / /  var  switch  case
        """,
    },
    "rust": {
        STRONG: r"""
            fn  let mut  pub fn  impl  use std  -> Result  & self  & mut  # [  Some (  None  Ok (  Err (  pub struct
            String : :  unwrap (  . iter (  Vec <  & str  crate : :  Option <  mut self  println !  vec !
            assert_eq !  assert !  pub enum  -> Self  Self {  as usize  u8  u32  usize  . clone (  format !  unsafe
            ? ;  dyn  - > String  - > bool  - > &  ' static  . into (  matches !
        """,
        MEDIUM: r"""
            let  pub  : :  - >  = > {  mut  self .  struct  enum  trait  where  ) - >  = >  Self
        """,
        WEAK: r"""
            ; ~  { ~  use  for  in  return  if let  else
        """,
    },
    "javascript": {
        STRONG: r"""
            = = =  ! = =  require (  module . exports  console . log  function (  const  = > {  exports .
            document .  window .  undefined  export default  async function  typeof  JSON .  prototype .  use strict
            var self  describe (  it (  new Promise  . then (  addEventListener  . forEach (  . map (  $ (
            process .  expect (  async (  Object .  function  import {
        """,
        MEDIUM: r"""
            var  let  = >  this .  await  null  from '  from "  return {  ) ; ~  } ) ;  Array .  err )  new Error
            , function  : function  async
        """,
        WEAK: r"""
            ; ~  { ~  return  new  if (  } ,  else {  ) {  : {
        """,
    },
    "typescript": {
        STRONG: r"""
            : string  : number  : boolean  interface  export type  : any  as const  readonly  import type  : void
            export interface  : unknown  keyof  Promise <  : string ;  : string ,  export const  private readonly
            : number ;  expectTypeOf  extends  satisfies  ? :  z .  Record <  export class  infer  : string )  never
            unknown  : T  implements  as any  as unknown  export function  declare  < T >  : undefined  undefined
        """,
        MEDIUM: r"""
            const  export  import {  = >  from '  from "  string  enum  async  = = =  ! = =  await  expect (  = > {
            : Promise  ? .  test (  private  public  let  < string  < T  ) : void
        """,
        WEAK: r"""
            ; ~  { ~  return  this .  new  function  ) ;  } ,
        """,
    },
    "scala": {
        STRONG: r"""
            case class  trait  extends  implicit  = > ~  sealed trait  import scala  : String =  : Unit =  Option [
            Seq [  List [  String ]  Int ]  override def  lazy val  [ T ]  [ A ]  : Int =  ) :  = {  match {  Some (
            assert (  _ *  println (  [ String  : Boolean =  Map [  Unit  test (  package  = >  ] =
        """,
        MEDIUM: r"""
            val  var  case  object  { case  private  new  None  def  import  Array (  type  : _  : String  : Int
            : Boolean  s "  < -
        """,
        WEAK: r"""
            { ~  class  this  if (  else  for
        """,
    },
    "swift": {
        STRONG: r"""
            func  guard let  if let  - >  - > String  - > Bool  import Foundation  import UIKit  extension  : String
            override func  XCTAssert  XCTAssertEqual (  self .  init (  public func  : Int  String ?  _ :  @ objc
            deinit  weak self  [ weak  override init  fileprivate  protocol  public struct  in ~  : [  : Bool
            private let  public var  final class  : Any  DispatchQueue  throws  let json  public extension
            @ escaping  else { return  @ available  inout  @ Test  static func  case .  ( _
        """,
        MEDIUM: r"""
            let  var  guard  enum  struct  switch  nil  internal  as ?  as !  public  case  class  import  try
            return  self  ? .  ? ?
        """,
        WEAK: r"""
            { ~  if  for  in  private  init  static
        """,
    },
    "python": {
        STRONG: r"""
            elif  self .  __init__  import numpy  ( self  from .  __name__  None  except  not in  is None
            is not None  True  False  lambda  import os  import sys  @ property  self )  pass ~  " " "  if not
            self ,  isinstance (  len (  print (  * args  * * kwargs  for _ in  async def  def __  ) : ~  import re
            @ pytest  def test_  None )  None ~  = None  range (  ValueError (
        """,
        MEDIUM: r"""
            import  from  in  and  or  not  is  del  return None  def  self  str (  int (  list (  dict (  and not
            ] ~  ) ~  try :  else :  if __name__  self . _  return self
        """,
        WEAK: r"""
            if  for  return  class  else  = [  = {  as  while  return ~  0 ] ~
        """,
    },
    "ruby": {
        STRONG: r"""
            end ~  do  require '  require "  attr_reader  attr_accessor  . each  elsif  unless  nil ?  ~ end
            : : Base  . new (  do ~  require_relative  expect (  it '  it "  let (  = >  . nil  . empty ?  # {
            def self  . freeze  class <  < <  begin ~  rescue  ensure  assert_equal  context "  . to_s  . map
            . join  . is_a  before do  gem '  gem "  private ~  lambda
        """,
        MEDIUM: r"""
            end  def  nil  module  self .  then  and  ? ~  true ~  false ~  return  class  when  @ @  Hash  Array
            File .  alias  do BAR  BAR ~
        """,
        WEAK: r"""
            if  else  case  true  false  new  require
        """,
    },
    "php": {
        STRONG: r"""
            < ? php  $ this  function  - >  $ _  public function  private function  protected function
            use Illuminate  namespace App    : : class  ? >  declare (  array (  foreach ( $  ( $  isset (
            new class  , $  assertSame (  self : :  : void  : string  : array  ? string  = [  public static
            static function  = $  ! $  & & $  return $  if ( $  $ key  $ value  $ name  ' = >  & $  null )  * @
            null ,  : :  implode  is_null
        """,
        MEDIUM: r"""
            public  private  protected  use  namespace  = =  null  string  array  foreach  class  extends
            implements  throw new  final  return  ' ]  ] ;  . '  ' .
        """,
        WEAK: r"""
            ; ~  { ~  new  if (  static  ) {  ) ;  / * *  ~ {
        """,
    },
    "sql": {
        STRONG: r"""
            ~ SELECT  ~ INSERT  ~ CREATE  ~ UPDATE  ~ DELETE FROM  ~ select  ( SELECT
            select *  CREATE TABLE  create table  INSERT INTO  insert into  PRIMARY KEY  primary key  NOT NULL
            not null  VARCHAR (  varchar (  DROP TABLE  drop table  FOREIGN KEY  GROUP BY  group by  ORDER BY
            order by  VALUES (  ALTER TABLE  alter table  INNER JOIN  LEFT JOIN  left join  inner join  AS $
            count ( *  COUNT ( *  IF EXISTS  LANGUAGE plpgsql  DELETE FROM  ON DELETE  REFERENCES  references
            create index  timestamptz  bigint  values (  create function  select count  where id  where  = @
        """,
        MEDIUM: r"""
            INTO  AND  TABLE  SET  ON  AS  INT  IN (  LIMIT  BY  NULL  SELECT *  from  select  AVG (  MAX (  SUM (
            HAVING  DISTINCT  EXISTS  END  ~ )  , (  ) ,  - -  UNION  CASE  GO  int ,  text ,  text not  begin ;
            commit  set  SELECT  FROM  WHERE  VALUES  INSERT  CREATE
        """,
        WEAK: r"""
            ) ; ~  ; ~  and  int  id  table  update  , ~  create  delete  null  by
        """,
    },
    "shell": {
        STRONG: r"""
            # ! /  fi ~  then ~  done ~  esac  echo "  $ {  export  if [  [ [  ] ;  ; then  ; do  $ (  elif [  local
            - eq  - n "  - z "  set - e  / dev /  > &  sudo  $ 0  " $  = " $  2 >  - -  bin / bash  bin / sh
            env bash  apt -  cd  exit 0  ; ;  " ] ;  chmod  mkdir -  rm -  - p  sed  printf '  return 0  set - x
            $ @  $ *  pip install  curl -  command -  curl  $ 1  unalias
        """,
        MEDIUM: r"""
            fi  done  then  do ~  if !  & &  } ~  source  exit  ' ~  mkdir  " ~  awk  \ ~  case  nvm  - f  - d  test
            eval  in ~  die
        """,
        WEAK: r"""
            if  for  in  return  else ~  while
        """,
    },
    "yaml": {
        STRONG: r"""
            - name :  runs - on  uses :  on :  ~ name :  steps :  version : ~  jobs :  : true ~  : false ~  env : ~
            run :  apiVersion :  kind :  permissions :  - uses  labels :  with : ~  branches :  ~ title :  layout :
            type :  : ~ -  ~ layout  id :  url :  description :  matrix :  : ' ~  : "
        """,
        MEDIUM: r"""
            : ~  name :  : 0 ~  : '  : >  true ~  false ~  with :  os :  : [
        """,
    },
    "toml": {
        STRONG: r"""
            [ package  [ dependencies  [ tool  [ [  = " ~  version = "  = true ~  = [ ~  [ workspace  features =
            edition =  name = "  [ build  = {  description =  [ versions  authors =  [ profile
        """,
        MEDIUM: r"""
            ] ~  " ~  = "  = [  = true  = false  , ~  version =  " ]
        """,
    },
    "properties": {
        STRONG: r"""
            = true ~  = false ~  org . gradle  ~ org  . version =  . enabled =  : =  . PHONY  . PHONY :  ~ all
            $ ( MAKE  kotlin .  android .
        """,
        MEDIUM: r"""
            = 0 ~  = true  = false  ] ~  = http  $ (  ~ include  ~ -  , 0
        """,
    },
    "json": {
        STRONG: r"""
            " : "  " : {  " : [  " : true  " : 0  " : false  " : null  { "
        """,
        MEDIUM: r"""
            " ,  } , ~  ] ,  : {  " :  } ~ }  [ ~ {  } ~ ]  ] ~  : [
        """,
        WEAK: r"""
            " ~  , ~  ~ "  ~ }
        """,
    },
    "html": {
        STRONG: r"""
            < ! DOCTYPE  < html  < div  < / div  < body  < head  < p >  < a href  < script  < span  < ul  < li
            < / a  < table  < td  < img  < meta  < link  < br  class = "  < / p  < code  < title  < h1  < button
            { %  < form  { {  % }  href = "  < / li  < section  < input  < label  < / script  < / body  < nav
            < strong  < header  < footer  < main  < article  & nbsp  < h2  < h3
        """,
        MEDIUM: r"""
            < /  id = "  src =  / >  > <  > ~  href  endif  for
        """,
        WEAK: r"""
            " >
        """,
    },
    "xml": {
        STRONG: r"""
            < ? xml  xmlns  xmlns :  < project  < dependency  < groupId  < artifactId  < version  xsi :  < /
            android :  < property  < resources  < string  < Project  PropertyGroup  < svg  < phpunit  ruleset
            < module  < key  < ItemGroup  ItemGroup  < configuration  < plugin  < vector  < color  < item
            < LinearLayout  < manifest  encoding =
        """,
        MEDIUM: r"""
            / >  > ~  > <  = "  name = "  < !  " /
        """,
        WEAK: r"""
            " >  " ~
        """,
    },
    "css": {
        STRONG: r"""
            color :  margin :  padding :  display :  font -  background :  @ media  0px  border :  width :  height :
            : hover  : 0px  text - align  # fff  position :  font - size  @ import  & :  : root  ! important
            max - width  - -  - radius  - color  background -  : none ;  : 0 ;  px  a {  body {  rem  : block
            : flex  : center  - webkit  line - height  margin -  padding -  @ include  @ mixin  color
        """,
        MEDIUM: r"""
            ; ~ }  : 0  : before  : after  % ;  { ~  solid  none ;  auto ;  - family  ul  li  top :  left :  , ~
        """,
        WEAK: r"""
            ; ~  } ~
        """,
    },
}
"""Per language and weight: tells with two spaces or more, or a line break, between them."""
